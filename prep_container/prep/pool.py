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

# Spawned, not forked: a fork would inherit its siblings' pipes and so outlive a parent that was killed.
_context = multiprocessing.get_context("spawn")


def _work(connection: Connection, decode_one: Decode) -> None:
    """A worker's life: decode what comes until the pipe closes, which it also does when the parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError):
        while True:
            task = connection.recv()
            try:
                answer: Outcome | OSError = decode_one(task)
            except OSError as error:
                answer = error
            connection.send(answer)


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    task: DecodeTask | None = None
    started: float = 0.0

    @classmethod
    def start(cls, decode_one: Decode) -> _Worker:
        ours, theirs = _context.Pipe()
        process = _context.Process(target=_work, args=(theirs, decode_one), daemon=True, name="prep-decoder")
        process.start()
        theirs.close()  # or a dead worker's pipe would never report its end
        return cls(process, ours)

    def give(self, task: DecodeTask) -> None:
        self.task, self.started = task, time.monotonic()
        with suppress(OSError):  # it died idle: found out, with the task, when its answer is awaited
            self.connection.send(task)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def decode_all(
    tasks: Iterable[DecodeTask],
    workers: int,
    *,
    decode_one: Decode = decode,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Iterator[tuple[DecodeTask, Outcome]]:
    """Decode every task once, in parallel; outcomes come as they are ready, in any order.

    Closing the iterator early (or an exception in its consumer) ends the workers. Raises the OSError of a worker that
    could not read or write its files: that is the machine's fault, so no picture is blamed for it.
    """
    waiting, retried = deque(tasks), set[int]()
    crew = [_Worker.start(decode_one) for _ in range(min(workers, len(waiting)))]
    try:
        while waiting or any(worker.task for worker in crew):
            for worker in crew:
                if worker.task is None and waiting:
                    worker.give(waiting.popleft())
            busy = {worker.connection: worker for worker in crew if worker.task}
            ready = wait(list(busy), timeout=1.0)
            for connection, worker in busy.items():
                late = time.monotonic() - worker.started > timeout_seconds
                if worker.task is None or (connection not in ready and not late):
                    continue
                task, outcome = worker.task, _answer(worker) if connection in ready else None
                worker.task = None
                if outcome is None:
                    worker.stop()
                    crew[crew.index(worker)] = _Worker.start(decode_one)
                    if task.number not in retried and not late:
                        retried.add(task.number)
                        waiting.append(task)
                        continue
                    what = f"takes longer than {timeout_seconds:g} seconds" if late else "crashes the decoder"
                    outcome = Undecodable("corrupt_image", f"decoding it {what}")
                yield task, outcome
    finally:
        for worker in crew:
            worker.stop()


def _answer(worker: _Worker) -> Outcome | None:
    """What the worker sent, or None where it died first."""
    try:
        answer: Outcome | OSError = worker.connection.recv()
    except (EOFError, OSError):
        return None
    if isinstance(answer, OSError):
        raise answer
    return answer
