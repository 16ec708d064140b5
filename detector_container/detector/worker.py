"""The worker process: HTTP from the first moment, answers from when the model is loaded and proven."""

import asyncio
import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from detector.artifacts import DESCRIPTION
from detector.protocol import DeadlineProtocol
from detector.server import DetectionServer, Model
from detector.supervisor import READY

LOG = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75  # longer than a proxy's usual 60: it, not the server, is to close what it may use again
_DRAIN_SECONDS = 25  # SageMaker kills 30 s after SIGTERM
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_SWITCH_SECONDS = 0.0005  # instead of 5 ms, which the event loop would wait while threads prepare and sort
_LARGE_BLOCK = 4 << 20  # bytes; Pillow's blocks have 16 MiB, a network's input about one
_KEPT = 16 << 20  # bytes of smaller blocks, which one request after the other needs, that each thread keeps free


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve the model of a folder."""

    folder: Path
    workers: int  # pictures looked at at once
    max_body_bytes: int
    timeout: float  # seconds that looking at one picture may take
    run_id: str = ""  # the run whose model this is, where somebody says so


def work(listener: socket.socket, channel: socket.socket, options: Options) -> int:
    """Serve on a listening socket until SIGTERM comes or the channel ends; return the exit code.

    Requests under way are answered before. 1: the model cannot be served, the log says why.
    """
    faulthandler.enable()  # a decoder's crash leaves a trace in the log
    _give_memory_back()
    sys.setswitchinterval(_SWITCH_SECONDS)
    return asyncio.run(_Worker(channel, options).serve(listener))


class _HttpServer(uvicorn.Server):  # type: ignore[misc]  # untyped where it is checked
    """Stops at SIGTERM alone, as a normal end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGTERM, self._told)
        yield

    def stop(self) -> None:
        self.should_exit = True

    def _told(self, _signum: int, _frame: FrameType | None) -> None:
        self.stop()


class _Worker:
    def __init__(self, channel: socket.socket, options: Options) -> None:
        self._channel = channel
        self._options = options
        self._detecting = DetectionServer(options.workers, options.max_body_bytes, run_id=options.run_id)
        self._http = _HttpServer(
            uvicorn.Config(
                self._detecting.app,
                interface="asgi3",
                http=DeadlineProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing here asks who the client is
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        self._exit_code = 0

    async def serve(self, listener: socket.socket) -> int:
        asyncio.get_running_loop().add_reader(self._channel, self._http.stop)  # readable: the supervisor is gone
        tasks = [asyncio.create_task(self._load()), asyncio.create_task(self._watch())]
        await self._http.serve([listener])
        for task in tasks:
            task.cancel()
        return self._exit_code

    async def _load(self) -> None:
        folder = self._options.folder
        try:
            # not the loop's own executor, whose threads the loop waits for at its end
            model = await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), _loaded, folder)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the model: nothing can be served
            LOG.error("the model in %s cannot be served (%s): %s", folder, DESCRIPTION, error)
            self._exit_code = 1
            self._http.stop()
            return
        self._detecting.take(model)
        self._channel.send(READY)
        LOG.info("serving the model in %s, %d pictures at once", folder, self._options.workers)

    async def _watch(self) -> None:
        """End the process when a picture keeps a thread busy for too long.

        Nobody waits for its answer any more, and a thread in a decoder cannot be stopped: a few of them would leave
        none. The supervisor starts another process.
        """
        while True:
            await asyncio.sleep(min(1.0, self._options.timeout / 4))
            if self._detecting.longest_running() > self._options.timeout:
                LOG.error("a picture takes longer than %g s: this process ends", self._options.timeout)
                os.abort()


def _give_memory_back() -> None:
    """Return large blocks to the system when they are freed, as glibc does only until it has seen a few of them.

    A large picture's would stay with the process: two of 49 megapixels with transparency left 1.8 GB behind.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # another C library than glibc may have none
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)  # setting either ends glibc's own adjusting of both


def _loaded(folder: Path) -> Model:
    from detector.served_model import ServedModel  # noqa: PLC0415 - slow to import: /ping answers before

    model = ServedModel(folder)
    model.prove()
    return model
