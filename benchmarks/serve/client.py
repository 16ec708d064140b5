"""One client: posts a picture again and again on one connection, as cheaply as can be, for it uses the same cores.

`python client.py PORT PICTURE`. Each line `SECONDS` on standard input is answered by a JSON list: what each picture
took.
"""

import json
import re
import socket
import struct
import sys
import time
from pathlib import Path

_LENGTH = re.compile(rb"content-length: (\d+)")
_SECONDS = 60


def main() -> None:
    """Post as often as asked."""
    data = Path(sys.argv[2]).read_bytes()
    head = (
        f"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: image/jpeg\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    request = head.encode() + data
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wait_in_the_kernel(connection)
        length = len(post(connection, request))
        print("ready", flush=True)
        for line in sys.stdin:
            end, each = time.perf_counter() + float(line), []
            while time.perf_counter() < end:
                each.append(seconds_to_post(connection, request, length))
            print(json.dumps(each), flush=True)


def wait_in_the_kernel(connection: socket.socket) -> None:
    """Have a wait end after a minute without a system call more for each, as Python's own timeouts take."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _SECONDS, 0))


def seconds_to_post(connection: socket.socket, request: bytes, length: int) -> float:
    """Return the seconds from the first byte sent to the last one received.

    The answer to the same picture has the same length; RuntimeError where it hasn't, or is none.
    """
    began = time.perf_counter()
    connection.sendall(request)
    answer = connection.recv(length + 1)
    while len(answer) < length:
        answer += _more(connection, answer)
    seconds = time.perf_counter() - began
    if len(answer) != length or not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {answer[:200]!r}")
    return seconds


def post(connection: socket.socket, request: bytes) -> bytes:
    """Return the answer; RuntimeError where it is none."""
    connection.sendall(request)
    answer, wanted = b"", None
    while wanted is None or len(answer) < wanted:
        answer += _more(connection, answer)
        end = answer.find(b"\r\n\r\n")
        found = _LENGTH.search(answer, 0, end) if end >= 0 else None
        wanted = end + 4 + int(found[1]) if found else None
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {answer[:200]!r}")
    return answer


def _more(connection: socket.socket, before: bytes) -> bytes:
    part = connection.recv(1 << 16)
    if not part:
        raise RuntimeError(f"the server closed the connection after {before[:200]!r}")
    return part


if __name__ == "__main__":
    main()
