"""How decoding processes are started: forked, each within milliseconds, from one that has loaded what they need."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from dropspot.errors import TransientError

_ATTEMPTS = 5
# A worker is meant to use one core: the threads that numerical libraries would start only cost memory, and the process
# that workers are forked from may have none.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Bytes of the folder for temporary files, where that process has its socket: its path may have 107 on Linux.
_LONGEST_FOLDER = 107 - len("/pymp-12345678/listener-12345678")


def get_ready(program: str = "prep.__main__") -> None:
    """Have what workers are forked from load this module and all that it imports, while this process goes on.

    Only the first call does anything. Without one, the first worker's start waits for as much as it needs itself.
    """
    context = _context()
    if isinstance(context, ForkServerContext):
        context.set_forkserver_preload([program])
        with suppress(OSError), _as_workers_need_it():  # whoever starts a worker tries again
            forkserver.ensure_running()


def started(work: Callable[..., None], *arguments: object) -> tuple[BaseProcess, Connection]:
    """Start a process that calls `work` with its end of a pipe and the arguments; return it and the other end.

    Raises TransientError where the machine lets none start.
    """
    context, attempt = _context(), 0
    while True:
        attempt += 1
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, *arguments), daemon=True, name="prep-decoder")
        try:
            with _as_workers_need_it():
                process.start()
        except (OSError, EOFError) as error:  # EOFError: what it is forked from died; the next attempt starts that too
            ours.close()
            if attempt == _ATTEMPTS:
                raise TransientError(
                    f"no decoding process could be started in {attempt} attempts, "
                    f"the machine may be short of memory or processes: {str(error) or type(error).__name__}"
                ) from error
        else:
            return process, ours
        finally:
            theirs.close()  # or a dead worker's pipe would never report its end


@cache
def _context() -> ForkServerContext | SpawnContext:
    """How processes are started.

    Not forked from this one: a fork would inherit its siblings' pipes, so outlive a parent that was killed, and could
    find a lock taken by a thread that it lacks. Spawned where the server that forks cannot have its socket, and
    elsewhere than on Linux, where libraries forbid forks even of idle processes.
    """
    with suppress(OSError):  # there may be no folder for temporary files
        if sys.platform == "linux" and len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_FOLDER:
            return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")


@contextmanager
def _as_workers_need_it() -> Iterator[None]:
    """Let processes that are started meanwhile use one thread each, and leave Ctrl-C to this one, even as they load."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    resource_tracker.ensure_running()  # before: where it has to be started, it lets Ctrl-C through again
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
