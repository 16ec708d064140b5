"""Keep one worker process alive: a worker that a signal ends (a decoder's crash, a lack of memory) is replaced at once.

The listening socket belongs to the supervisor, so connections made while there is no worker wait for the next one. It
imports nothing heavy: the worker is forked, not started anew, and brings in what it needs itself.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

LOG = logging.getLogger(__name__)

READY = b"1"  # what a worker sends through its channel once it can answer
_FALSE_STARTS = 3  # workers that die one after another before they are ready: the next one would, too
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[socket.socket], int]
"""What the worker does: takes its end of the channel, returns the process's exit code.

The channel reads as ended when the supervisor is gone.
"""


class Supervisor:
    """Runs `work` in a child process, again and again until it returns or SIGTERM or SIGINT comes."""

    def __init__(self, listener: socket.socket, work: Work) -> None:
        self._listener = listener
        self._work = work
        self._worker: int | None = None
        self._stopping = False

    def run(self) -> int:
        """Return the exit code: the worker's own, 0 when told to stop, 1 where no worker gets ready."""
        for signum in _SIGNALS:
            signal.signal(signum, self._stop)
        false_starts = 0
        while True:
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    worker = self._start(ours, theirs)
                if worker is None:
                    return 0
                _, status = os.waitpid(worker, 0)
                self._worker = None
                was_ready = _said(ours) == READY
            if os.WIFEXITED(status):
                return os.WEXITSTATUS(status)
            if self._stopping:
                return 0 if os.WTERMSIG(status) == signal.SIGTERM else 1  # SIGTERM: it had not begun to serve
            ended_by = signal.Signals(os.WTERMSIG(status)).name
            false_starts = 0 if was_ready else false_starts + 1
            if false_starts == _FALSE_STARTS:
                LOG.error("%d workers were ended by signals (%s) before they could serve", false_starts, ended_by)
                return 1
            LOG.error("worker %d was ended by %s: another one takes its place", worker, ended_by)

    def _start(self, ours: socket.socket, theirs: socket.socket) -> int | None:
        """Return the new worker's process id, or None where it came to stopping before."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # or one might come between the fork and the note of its id
        try:
            if self._stopping:
                return None
            sys.stdout.flush()
            self._worker = os.fork()
            if self._worker == 0:
                ours.close()
                self._become_the_worker(theirs)
            return self._worker
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _become_the_worker(self, channel: socket.socket) -> None:
        """Work and end the process, whatever happens: nothing of the supervisor's is to run in it."""
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the supervisor sees to it
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = self._work(channel)
        except BaseException:
            LOG.exception("the worker failed")
        finally:
            logging.shutdown()
            os._exit(code)  # waits for no thread: one may be busy with a picture for a long time yet

    def _stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._listener.close()  # new connections are refused as soon as the worker has closed its own
        if self._worker is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended this moment
                os.kill(self._worker, signal.SIGTERM)


def _said(channel: socket.socket) -> bytes:
    channel.setblocking(False)
    try:
        return channel.recv(1)
    except (BlockingIOError, ConnectionError):
        return b""
