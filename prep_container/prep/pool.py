"""Decoding in worker processes, so that every core works and no picture can take the job down.

Pictures go out in batches, which cost no more messages than single ones. Each worker has one batch at hand and one
waiting, so that it never idles while this process looks at its answers. A worker that dies or hangs is replaced, and
the pictures it had at hand go out again one by one. One that its worker dies of while alone gets one more chance in a
fresh worker (the death may have had another cause); then, or where decoding it hangs, it is given up as corrupt. A
worker that ends before it began costs no picture, and is replaced until several in a row have ended so.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from operator import length_hint

from dropspot.errors import TransientError
from prep.decoding import Decoded, DecodeTask, Undecodable, decode
from prep.processes import started

TIMEOUT_SECONDS = 120.0
Outcome = Decoded | Undecodable
Decode = Callable[[DecodeTask], Outcome]
Batch = tuple[DecodeTask, ...]

LARGEST_BATCH = 8

_READY = "ready"
_AT_HAND_AND_WAITING = 2
_FALSE_STARTS = 5  # in a row, until it is the machine that does not let workers begin


def _work(connection: Connection, decode_one: Decode) -> None:
    """A worker's life: say that it began, then decode what comes until the pipe closes (also when the parent dies)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, ConnectionError):
        connection.send(_READY)
        while True:
            batch = connection.recv()
            try:
                answers: list[Outcome] | OSError = [decode_one(task) for task in batch]
            except OSError as error:
                answers = error
            connection.send(answers)


@dataclass(slots=True)
class _Worker:
    """One process, not given anything before it is ready; `since` is when it began the first of its batches."""

    process: BaseProcess
    connection: Connection
    ready: bool = False
    batches: deque[Batch] = field(default_factory=deque)
    since: float = 0.0

    @classmethod
    def start(cls, decode_one: Decode) -> _Worker:
        return cls(*started(_work, decode_one))

    def give(self, batch: Batch) -> None:
        if not self.batches:
            self.since = time.monotonic()
        self.batches.append(batch)
        with suppress(OSError):  # it died idle: found out, with the batch, when its answer is awaited
            self.connection.send(batch)

    def begins(self) -> bool:
        """Take the first word of a new process, which is ready then; False where it ended without one."""
        try:
            self.ready = bool(self.connection.recv() == _READY)
        except (EOFError, OSError):
            self.ready = False
        return self.ready

    def overdue(self, timeout_seconds: float) -> bool:
        return bool(self.batches) and time.monotonic() - self.since > timeout_seconds

    def answers(self) -> list[Outcome] | None:
        """What the worker sent, or None where it died first. Raises the OSError that the worker met."""
        try:
            answers: list[Outcome] | OSError = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answers, OSError):
            raise answers
        return answers

    def finished(self) -> Batch:
        """Take away the batch that was answered, or lost: the worker turns to the next one."""
        self.since = time.monotonic()
        return self.batches.popleft()


@dataclass(slots=True)
class _Queue:
    """The tasks to come: those left behind by a lost worker, then the caller's, fetched as they are handed out.

    The first batches are of one task each, so that every worker has work at once and few tasks are shared out evenly.
    So are the last ones, where the tasks can tell how many there are: the workers finish together.
    """

    coming: Iterator[DecodeTask]
    workers: int
    ready: deque[Batch] = field(default_factory=deque)
    fetched: int = 0
    retried: set[int] = field(default_factory=set)

    def any_left(self) -> bool:
        if not self.ready:
            fewer = min(self.fetched, length_hint(self.coming, self.fetched))
            size = min(LARGEST_BATCH, 1 + fewer // (2 * self.workers))
            if batch := tuple(islice(self.coming, size)):
                self.ready.append(batch)
                self.fetched += len(batch)
        return bool(self.ready)

    def next(self) -> Batch:
        """The next batch, where any_left() has said that there is one."""
        return self.ready.popleft()

    def put_back(self, batch: Batch, *, late: bool) -> bool:
        """Whether a lost worker's tasks, each alone from now on, go out again: one that was alone does once if it died.

        Nothing else tells which task of a batch it was.
        """
        if len(batch) == 1:
            if late or batch[0].number in self.retried:
                return False
            self.retried.add(batch[0].number)
        self.ready.extend((task,) for task in batch)
        return True


class Crew:
    """Decoding processes, started for the first tasks, kept for those that come later, and ended with the context.

    To end them takes milliseconds, which a small data set would notice: that can wait until everything is written.
    """

    def __init__(self, size: int, *, decode_one: Decode = decode, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._size = size
        self._decode_one = decode_one
        self._timeout_seconds = timeout_seconds
        self._workers: list[_Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def decode_all(self, tasks: Iterable[DecodeTask]) -> Iterator[tuple[DecodeTask, Outcome]]:
        """Decode every task once, in parallel; outcomes come as they are ready, in any order.

        Tasks are fetched as workers become free, two batches for each at most, so an iterator may stand for any number.
        A crew of none (0) has this process decode them itself, one after the other and without a time limit.

        One call at a time; closing its iterator early ends the workers. Raises the OSError of a worker that could not
        read or write its files, and TransientError where workers do not even begin: that is the machine's fault, so no
        picture is blamed for it.
        """
        if not self._size:
            for task in tasks:
                yield task, self._decode_one(task)
            return
        coming = iter(tasks)
        first: deque[Batch] = deque((task,) for task in islice(coming, self._size))
        try:
            yield from self._decoded(_Queue(coming, self._size, first, len(first)))
        except BaseException:
            self._end()  # nobody wants what they are at
            raise

    def _decoded(self, queue: _Queue) -> Iterator[tuple[DecodeTask, Outcome]]:
        crew, false_starts = self._workers, 0
        crew.extend(_Worker.start(self._decode_one) for _ in range(len(queue.ready) - len(crew)))
        while _hand_out(queue, crew):
            heard = wait([worker.connection for worker in crew if worker.batches or not worker.ready], timeout=1.0)
            for position, worker in enumerate(crew):
                late = worker.connection not in heard
                if late and not worker.overdue(self._timeout_seconds):
                    continue
                if not worker.ready:
                    false_starts = 0 if worker.begins() else false_starts + 1
                    if false_starts == _FALSE_STARTS:
                        raise TransientError(
                            f"{false_starts} decoding processes in a row ended before they began: "
                            "the machine may be short of memory"
                        )
                    if not worker.ready:
                        crew[position] = self._replaced(worker, queue)
                    continue
                outcomes = None if late else worker.answers()
                batch = worker.finished()
                if outcomes is None:
                    crew[position] = self._replaced(worker, queue)
                    if queue.put_back(batch, late=late):
                        continue
                    what = f"takes longer than {self._timeout_seconds:g} seconds" if late else "crashes the decoder"
                    outcomes = [Undecodable("corrupt_image", f"decoding it {what}")]
                _hand_out(queue, crew)  # before their reader, who may take a while, has the answers
                yield from zip(batch, outcomes, strict=True)

    def _replaced(self, worker: _Worker, queue: _Queue) -> _Worker:
        """End a worker and start another in its place; what was only waiting for it goes to whoever is free."""
        _stop([worker])
        queue.ready.extendleft(worker.batches)
        return _Worker.start(self._decode_one)

    def _end(self) -> None:
        _stop(self._workers)
        self._workers.clear()


def _hand_out(queue: _Queue, crew: list[_Worker]) -> bool:
    """Give every worker that wants one its next batch; returns whether anything is left to wait for."""
    for goal in range(1, _AT_HAND_AND_WAITING + 1):  # first one for each, then one more
        for worker in crew:
            if worker.ready and len(worker.batches) < goal and queue.any_left():
                worker.give(queue.next())
    return any(worker.batches for worker in crew) or queue.any_left()


def _stop(crew: Sequence[_Worker]) -> None:
    """End workers, all at the same time, whatever they are at."""
    for worker in crew:
        worker.process.terminate()
    for worker in crew:
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()
