"""The worker process: HTTP from the first moment, answers from when the model is loaded and proven."""

import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from detector.artifacts import DESCRIPTION
from detector.http_server import HttpServer
from detector.service import DetectionService, Model
from detector.supervisor import READY

LOG = logging.getLogger(__name__)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h
_SWITCH_SECONDS = 0.0005  # instead of 5 ms, which a thread would wait for another that prepares and sorts
_LARGE_BLOCK = 4 << 20  # bytes; Pillow's blocks have 16 MiB, a network's input about one
_KEPT = 16 << 20  # bytes of smaller blocks, which one request after the other needs, that each arena keeps free


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
    _give_memory_back(options.workers)
    sys.setswitchinterval(_SWITCH_SECONDS)
    return _Worker(listener, options).serve(channel)


class _Worker:
    def __init__(self, listener: socket.socket, options: Options) -> None:
        self._options = options
        self._detecting = DetectionService(options.workers, options.max_body_bytes, run_id=options.run_id)
        self._http = HttpServer(listener, self._detecting.answer)
        self._is_ending = False
        self._exit_code = 0

    def serve(self, channel: socket.socket) -> int:
        signal.signal(signal.SIGTERM, self._told_to_stop)
        threading.Thread(target=self._load, args=(channel,), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        self._http.serve(ending=channel)  # which can be read when the supervisor is gone
        return self._exit_code

    def _told_to_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._is_ending = True
        self._http.stop()

    def _load(self, channel: socket.socket) -> None:
        folder = self._options.folder
        try:
            model = _loaded(folder)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the model: nothing can be served
            LOG.error("the model in %s cannot be served (%s): %s", folder, DESCRIPTION, error)
            self._exit_code = 1
            self._http.stop()
            return
        self._detecting.take(model)
        channel.send(READY)
        LOG.info("serving the model in %s, %d pictures at once", folder, self._options.workers)

    def _watch(self) -> None:
        """End the process when a picture keeps a thread busy for too long.

        Nobody waits for its answer any more, and a thread in a decoder cannot be stopped: a few of them would leave
        none. The supervisor starts another process. At the end nothing waits for such a thread for long.
        """
        while True:
            time.sleep(min(1.0, self._options.timeout / 4))
            if not self._is_ending and self._detecting.longest_running() > self._options.timeout:
                LOG.error("a picture takes longer than %g s: this process ends", self._options.timeout)
                os.abort()


def _give_memory_back(workers: int) -> None:
    """Return large blocks to the system when they are freed, as glibc does only until it has seen a few of them.

    A large picture's would stay with the process: two of 49 megapixels with transparency left 1.8 GB behind. And have
    as many arenas as threads compute at once: each keeps what it has been used for, and every connection has a thread.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # another C library than glibc may have none
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        libc.mallopt(_M_ARENA_MAX, workers)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)  # setting either ends glibc's own adjusting of both


def _loaded(folder: Path) -> Model:
    from detector.served_model import ServedModel  # noqa: PLC0415 - slow to import: /ping answers before

    model = ServedModel(folder)
    model.prove()
    return model
