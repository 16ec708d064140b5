"""A proxy between detect_objects and the cloud that makes trouble: throttles, 500s, S3's 503, answers that get lost."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field

_THROTTLED = (
    400,
    {"x-amzn-ErrorType": "ThrottlingException", "Content-Type": "application/json"},
    b'{"message": "Rate exceeded"}',
)
_MODEL_FAILED = (
    424,
    {"x-amzn-ErrorType": "ModelError", "Content-Type": "application/json"},
    json.dumps({"Message": "Received server error (500)", "OriginalStatusCode": 500, "OriginalMessage": "no"}).encode(),
)
_SLOW_DOWN = (
    503,
    {"Content-Type": "application/xml"},
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
)
_REASONS = {400: "Bad Request", 424: "Failed Dependency", 503: "Slow Down"}


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of the requests of each kind that go wrong."""

    throttled: float = 0.03
    model_failed: float = 0.02
    slow_down: float = 0.005
    lost: float = 0.005  # the cloud did it, and its answer never arrived


@dataclass
class FaultyProxy:
    """Listens on a port of its own; `made` counts the faults by name, `requests` all that came."""

    cloud_port: int
    rates: Rates
    seed: int
    made: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._ready = threading.Event()
        self._serving = set[asyncio.Task[None] | None]()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=16 << 20)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._over.wait()
        server.close()  # connections that are still open end with their tasks

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calm(self) -> None:
        """Make no more trouble."""
        self.rates = Rates(0, 0, 0, 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Once its client is gone, nothing else holds a task that waits for the cloud.
        self._serving.add(asyncio.current_task())
        try:
            head, body = await _received(reader, writer)
            await self._answer(head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.made["broken connections"] += 1  # a worker was killed
        finally:
            self._serving.discard(asyncio.current_task())
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        method, path, _ = head.split(b" ", 2)
        fault = self._fault(path.decode())
        if fault is not None:
            status, fields, text = fault
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            length = f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
            writer.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}{length}".encode())
            writer.write(b"" if method == b"HEAD" else text)
            await writer.drain()
            return
        above, below = await asyncio.open_connection("127.0.0.1", self.cloud_port)
        try:
            below.write(head + body)
            await below.drain()
            answer = await above.read()  # to the end: the cloud closes, as it was asked to
        finally:
            below.close()
        if self._happens(self.rates.lost):
            self.made["answers lost"] += 1
            return
        writer.write(answer)
        await writer.drain()

    def _fault(self, path: str) -> tuple[int, dict[str, str], bytes] | None:
        is_invocation = path.startswith("/endpoints/")
        is_object = not is_invocation and len(path) > 1 and not path.startswith("/?")
        for name, happens, fault in (
            ("throttles", is_invocation and self._happens(self.rates.throttled), _THROTTLED),
            ("500s of the model", is_invocation and self._happens(self.rates.model_failed), _MODEL_FAILED),
            ("503s of S3", is_object and self._happens(self.rates.slow_down), _SLOW_DOWN),
        ):
            if happens:
                self.made[name] += 1
                return fault
        return None

    def _happens(self, share: float) -> bool:
        return self._random.random() < share


async def _received(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bytes, bytes]:
    """Return a request's head, changed to ask for the connection's end, and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    fields = [(line.partition(b":")[0].strip().lower(), line) for line in lines]

    def value(name: bytes) -> bytes:
        return next((line.partition(b":")[2].strip() for found, line in fields if found == name), b"")

    if value(b"expect").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    body = await reader.readexactly(int(value(b"content-length") or 0))
    kept = [line for name, line in fields if name not in (b"expect", b"connection")]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""]), body
