"""Output of containers as CloudWatch Logs streams."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

FLUSH_SECONDS = 0.5
LARGEST_MESSAGE = 256 * 1024 - 26
_creating = threading.Lock()
LARGEST_BATCH = (1000, 900_000)  # events and bytes, below PutLogEvents' own limits


class LogStream:
    """Lines go in from any thread; a thread of its own sends them in batches. `close` sends what is left."""

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self.group, self.stream = group, stream
        self._client = client
        self._lines: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._create()
        self._sender = threading.Thread(target=self._send_until_closed, name=f"logs-{stream}", daemon=True)
        self._sender.start()

    def write(self, line: str) -> None:
        """Add one line, stamped with the present time."""
        message = line.rstrip("\r\n")[:LARGEST_MESSAGE] or " "  # the service refuses an empty message
        with self._lock:
            self._lines.append({"timestamp": int(time.time() * 1000), "message": message})

    def close(self) -> None:
        """Send the last lines and end the sender."""
        self._closed.set()
        self._sender.join(timeout=30)

    def _create(self) -> None:
        # A client makes its exception classes when they are first asked for: two threads would each have their own.
        with _creating:
            known = self._client.exceptions.ResourceAlreadyExistsException
        # Every job of a kind writes to the same group; two starts within a second may share a stream.
        with contextlib.suppress(known):
            self._client.create_log_group(logGroupName=self.group)
        with contextlib.suppress(known):
            self._client.create_log_stream(logGroupName=self.group, logStreamName=self.stream)

    def _send_until_closed(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        while lines:
            count, size = 0, 0
            for line in lines[: LARGEST_BATCH[0]]:
                size += len(line["message"].encode()) + 26
                if count and size > LARGEST_BATCH[1]:
                    break
                count += 1
            self._client.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=lines[:count])
            lines = lines[count:]
