"""Read a channel's named pipe in Pipe mode.

The developer guide's page "How Amazon SageMaker Provides Training Information": in Pipe mode the data of a channel come
through one named pipe per epoch, `/opt/ml/input/data/<channel>_<epoch>` with epochs counted from 0. A container reads a
pipe to its end or closes it early, and the next epoch's appears after that; a pipe that isn't there yet is to be looked
for again; the channels may be read in any order and as often as each needs.

Training here keeps what the first pipe brings, so each channel is read once: the first epoch's pipe to its end, and the
later ones, which nothing obliges a container to open, not at all.
"""

import logging
import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

PATIENCE_SECONDS = 300.0  # without a pipe, and then without a byte; no limit is documented for how long S3 may take
_LOOK_SECONDS = 0.2  # how long a request to stop may go unseen
_CHUNK_BYTES = 1 << 20


class StoppedError(Exception):
    """The training was told to stop before its data were there."""


class NamedPipe:
    """The bytes of a channel's first epoch, for a `with` block.

    `stop` is asked several times a second while nothing comes. Entering and reading raise StoppedError when it says so,
    and InvalidInputError when for `patience` seconds there was no pipe, no writer or no further byte.
    """

    def __init__(self, folder: Path, stop: Callable[[], bool], patience: float = PATIENCE_SECONDS) -> None:
        """Read the pipe that belongs to the channel whose folder would be `folder`."""
        self._channel = folder.name
        self._path = folder.with_name(f"{folder.name}_0")
        self._stop, self._patience = stop, patience
        self._pipe, self._buffer, self._ended = -1, bytearray(), False
        self._poll = select.poll()

    def __enter__(self) -> Self:
        LOG.info("waiting for channel %s in named pipe %s", self._channel, self._path.name)
        waited = time.monotonic()
        while not self._path.exists():
            self._go_on(waited, "is not there")
            time.sleep(_LOOK_SECONDS)
        if not stat.S_ISFIFO(self._path.stat().st_mode):
            raise InvalidInputError(f"channel {self._channel}: {self._path.name} is not a named pipe")
        # Opening without blocking succeeds before there is a writer; polling then waits for its first byte or its end.
        self._pipe = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        self._poll.register(self._pipe, select.POLLIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only where the pipe ended."""
        while len(self._buffer) < size and not self._ended:
            self._receive()
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken

    def _receive(self) -> None:
        waited = time.monotonic()
        while not self._poll.poll(_LOOK_SECONDS * 1000):
            self._go_on(waited, "brought nothing")
        if self._stop():
            raise StoppedError
        try:
            data = os.read(self._pipe, _CHUNK_BYTES)
        except BlockingIOError:  # ready, but what was there is gone: poll again
            return
        self._ended = not data
        self._buffer += data

    def _go_on(self, since: float, complaint: str) -> None:
        if self._stop():
            raise StoppedError
        if time.monotonic() - since > self._patience:
            raise InvalidInputError(
                f"channel {self._channel}: the named pipe {self._path.name} {complaint} for {self._patience:g} s"
            )
