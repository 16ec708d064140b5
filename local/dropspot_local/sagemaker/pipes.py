"""Named pipes: how the channels of a training job reach its container in Pipe mode.

The developer guide's page "How Amazon SageMaker Provides Training Information": an epoch of a channel comes through
`/opt/ml/input/data/<channel>_<epoch>`, epochs counted from 0. The container reads a pipe to its end or closes it early
and then looks for the next one, which it may have to wait for; channels are read in any order. Here a pipe that was
read is removed once the next one is there: nothing would come through it any more.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dropspot_local.sagemaker.jobs import INTERNAL_ERROR
from dropspot_local.sagemaker.staging import StagingError

logger = logging.getLogger("dropspot_local")

_LOOK_SECONDS = 0.05  # how long a reader, or the end of the container, may go unseen
_JOIN_SECONDS = 5  # a request to S3 that is under way isn't waited for any longer


class Stream(Protocol):
    """The data of one channel, an epoch at a time."""

    @property
    def name(self) -> str:
        """The channel's name."""

    def epoch(self, number: int) -> Iterator[bytes]:
        """The bytes of an epoch; StagingError when they can't be had."""


class ChannelPipes:
    """The pipes of a container's channels, made with the object and fed by one thread each within a `with` block.

    When data can't be had, the channel's pipe is closed, `failed` is set and `reason` is fit for a FailureReason. The
    container can't tell that from the data's end, so what it did with them counts only if `failed` isn't set after the
    block.
    """

    def __init__(self, streams: Sequence[Stream], folder: Path) -> None:
        self._folder = folder
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._feed, args=(stream,), name=f"pipe-{stream.name}", daemon=True)
            for stream in streams
        ]
        self.failed = threading.Event()
        self.reason = ""
        for stream in streams:
            folder.mkdir(parents=True, exist_ok=True)
            os.mkfifo(self._path(stream, 0))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=_JOIN_SECONDS)

    def _path(self, stream: Stream, epoch: int) -> Path:
        return self._folder / f"{stream.name}_{epoch}"

    def _feed(self, stream: Stream) -> None:
        try:
            for epoch in count():
                self._feed_epoch(stream, epoch)
                if self._closing.is_set():
                    return
                os.mkfifo(self._path(stream, epoch + 1))
                self._path(stream, epoch).unlink(missing_ok=True)
        except StagingError as error:
            self._fail(str(error))
        except Exception:
            if self._closing.is_set():  # the job's folder may be gone by now
                logger.debug("The pipe of channel %s ended", stream.name, exc_info=True)
                return
            logger.exception("The pipe of channel %s broke off", stream.name)
            self._fail(INTERNAL_ERROR)

    def _fail(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.failed.set()

    def _feed_epoch(self, stream: Stream, epoch: int) -> None:
        """Wait for a reader, then get the epoch from S3 and send it; the reader may close early."""
        pipe = self._opened(self._path(stream, epoch))
        if pipe is None:
            return
        try:
            with contextlib.suppress(BrokenPipeError):
                for piece in stream.epoch(epoch):
                    if not self._write(pipe, piece):
                        break
        finally:
            os.close(pipe)

    def _opened(self, path: Path) -> int | None:
        """The pipe for writing once somebody reads it; None when the container has ended before."""
        while not self._closing.is_set():
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads it yet
                    raise
            self._closing.wait(_LOOK_SECONDS)
        return None

    def _write(self, pipe: int, data: bytes) -> bool:
        """Write all of the data; False when the container ended meanwhile. BrokenPipeError: the reader has closed."""
        rest, ready = memoryview(data), select.poll()
        ready.register(pipe, select.POLLOUT)
        while rest:
            if self._closing.is_set():
                return False
            if ready.poll(_LOOK_SECONDS * 1000):
                with contextlib.suppress(BlockingIOError):  # less room than a piece that must go as a whole
                    rest = rest[os.write(pipe, rest) :]
        return True
