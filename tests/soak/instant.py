"""A model's container that answers at once: what it sees depends on the picture's bytes alone.

A picture that ends with POISON fails every time. Run as a program it serves as SageMaker asks of a container.
"""

from __future__ import annotations

import asyncio
import json
import os
import zlib

INSTANT_PROGRAM = "soak/instant.py"
POISON = b"poison"
CLASSES = ("cat", "dog")


def seen(picture: bytes) -> list[float]:
    """Return the one row that is predicted for the picture: class, score, box."""
    sum32 = zlib.crc32(picture)
    left, top = (sum32 & 0xFF) / 512, (sum32 >> 8 & 0xFF) / 512
    return [float(sum32 >> 16 & 1), 0.9, left, top, left + 0.5, top + 0.5]


async def _serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            if lines[0].startswith("GET /ping"):
                status, answer = "200 OK", b""
            elif body.endswith(POISON):
                status, answer = "500 Internal Server Error", b'{"error": "made to fail"}'
            else:
                status, answer = "200 OK", json.dumps({"prediction": [seen(body)]}).encode()
            said = f"X-Amzn-SageMaker-Custom-Attributes: run_id={os.environ['DROPSPOT_RUN_ID']}\r\n"
            length = f"Content-Type: application/json\r\nContent-Length: {len(answer)}\r\n"
            writer.write(f"HTTP/1.1 {status}\r\n{said}{length}\r\n".encode() + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone
    finally:
        writer.close()


async def main() -> None:
    """Serve until somebody ends the process."""
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    server = await asyncio.start_server(_serve_connection, "127.0.0.1", port, limit=8 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
