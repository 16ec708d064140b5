"""Decoding in worker processes, so that every core works and no picture can take the job down.

Each worker holds one picture at a time. A worker that dies is replaced and its picture gets one more chance in a fresh
worker (the death may have had another cause); then, or where decoding hangs, the picture is given up as corrupt.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from prep.decoding import Decoded, DecodeTask, Undecodable, decode

TIMEOUT_SECONDS = 120.0
Outcome = Decoded | Undecodable
Decode = Callable[[DecodeTask], Outcome]

_READY = "ready"

# Spawned, not forked: a fork would inherit its siblings' pipes and so outlive a parent that was killed.
_context = multiprocessing.get_context("spawn")


def _work(connection: Connection, decode_one: Decode) -> None:
    """A worker's life: say that it began, then decode what comes until the pipe closes (also when the parent dies)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, ConnectionError):
        connection.send(_READY)
        while True:
            task = connection.recv()
            try:
                answer: Outcome | OSError = decode_one(task)
            except OSError as error:
                answer = error
            connection.send(answer)


@dataclass(slots=True)
class _Worker:
    """One process, not given anything before it is ready; `since` is when it began its task."""

    process: SpawnProcess
    connection: Connection
    ready: bool = False
    task: DecodeTask | None = None
    since: float = 0.0

    @classmethod
    def start(cls, decode_one: Decode) -> _Worker:
        ours, theirs = _context.Pipe()
        process = _context.Process(target=_work, args=(theirs, decode_one), daemon=True, name="prep-decoder")
        process.start()
        theirs.close()  # or a dead worker's pipe would never report its end
        return cls(process, ours)

    def give(self, task: DecodeTask) -> None:
        self.task, self.since = task, time.monotonic()
        with suppress(OSError):  # it died idle: found out, with the task, when its answer is awaited
            self.connection.send(task)

    def hears_it_began(self) -> bool:
        """Take the first word of a new process. Raises RuntimeError where it ended without one."""
        try:
            return bool(self.connection.recv() == _READY)
        except (EOFError, OSError) as error:
            raise RuntimeError("a decoding process ended before it began") from error

    def overdue(self, timeout_seconds: float) -> bool:
        return self.task is not None and time.monotonic() - self.since > timeout_seconds

    def answer(self) -> Outcome | None:
        """What the worker sent, or None where it died first. Raises the OSError that the worker met."""
        try:
            answer: Outcome | OSError = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, OSError):
            raise answer
        return answer

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def decode_all(
    tasks: Iterable[DecodeTask],
    workers: int,
    *,
    decode_one: Decode = decode,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Iterator[tuple[DecodeTask, Outcome]]:
    """Decode every task once, in parallel; outcomes come as they are ready, in any order.

    Closing the iterator early (or an exception in its consumer) ends the workers. Raises the OSError of a worker that
    could not read or write its files, and RuntimeError where workers do not even begin: that is the machine's fault,
    so no picture is blamed for it.
    """
    waiting, retried = deque(tasks), set[int]()
    crew = [_Worker.start(decode_one) for _ in range(min(workers, len(waiting)))]
    try:
        while waiting or any(worker.task for worker in crew):
            for worker in crew:
                if worker.ready and worker.task is None and waiting:
                    worker.give(waiting.popleft())
            heard = wait([worker.connection for worker in crew if worker.task or not worker.ready], timeout=1.0)
            for position, worker in enumerate(crew):
                if worker.connection in heard and not worker.ready:
                    worker.ready = worker.hears_it_began()
                    continue
                late = worker.connection not in heard and worker.overdue(timeout_seconds)
                if worker.task is None or not (late or worker.connection in heard):
                    continue
                task, outcome = worker.task, None if late else worker.answer()
                worker.task = None
                if outcome is None:
                    worker.stop()
                    crew[position] = _Worker.start(decode_one)
                    if not late and task.number not in retried:
                        retried.add(task.number)
                        waiting.append(task)
                        continue
                    what = f"takes longer than {timeout_seconds:g} seconds" if late else "crashes the decoder"
                    outcome = Undecodable("corrupt_image", f"decoding it {what}")
                yield task, outcome
    finally:
        for worker in crew:
            worker.stop()
