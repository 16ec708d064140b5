"""One client: posts a picture again and again on one connection, as cheaply as can be, for it uses the same cores.

`python client.py PORT PICTURE`. Each line `PICTURES` on standard input is answered by one of JSON: each one's seconds.
"""

import json
import re
import socket
import sys
import time
from pathlib import Path

_LENGTH = re.compile(rb"content-length: (\d+)")


def main() -> None:
    """Post as often as asked."""
    data = Path(sys.argv[2]).read_bytes()
    head = (
        f"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: image/jpeg\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    request = head.encode() + data
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        post(connection, request)
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps([post(connection, request) for _ in range(int(line))]), flush=True)


def post(connection: socket.socket, request: bytes) -> float:
    """Return the seconds from the first byte sent to the last one received; RuntimeError where it is no answer."""
    began = time.perf_counter()
    connection.sendall(request)
    answer, wanted = b"", None
    while wanted is None or len(answer) < wanted:
        part = connection.recv(1 << 16)
        if not part:
            raise RuntimeError(f"the server closed the connection after {answer[:200]!r}")
        answer += part
        end = answer.find(b"\r\n\r\n")
        found = _LENGTH.search(answer, 0, end) if end >= 0 else None
        wanted = end + 4 + int(found[1]) if found else None
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {answer[:200]!r}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
