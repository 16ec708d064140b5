"""Turns: so many at once, a bounded number of others waiting, and for how long the slowest has been at it."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType


class CrowdedError(Exception):
    """Too many are waiting already."""


class Turns:
    """Lets `at_once` threads in at a time, each by `with`; raises CrowdedError where `most` are in or waiting.

    Who waits longest is next: a turn that ends is handed over, so that nobody can come first who comes later.
    """

    def __init__(self, at_once: int, most: int) -> None:
        self._at_once = at_once
        self._most = most
        self._taken = 0
        self._waiting: deque[threading.Lock] = deque()  # each held until its thread is in
        self._lock = threading.Lock()  # of the last two
        self._since: dict[int, float] = {}  # thread -> when its turn began

    @property
    def are_crowded(self) -> bool:
        """Whether nobody else is admitted at the moment."""
        return self._taken + len(self._waiting) >= self._most

    def longest(self) -> float:
        """Return for how many seconds the turn has lasted that began first of those not over; 0 where there is none."""
        return time.monotonic() - min(self._since.copy().values(), default=time.monotonic())

    def __enter__(self) -> None:
        if waiter := self._waiter():
            waiter.acquire()
        try:
            self._since[threading.get_ident()] = time.monotonic()
        except BaseException:  # no memory
            self._hand_over()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._since[threading.get_ident()]
        self._hand_over()

    def _waiter(self) -> threading.Lock | None:
        """Take a turn that is free, or return what can be acquired as soon as one is."""
        with self._lock:
            if self.are_crowded:
                raise CrowdedError
            if self._taken < self._at_once:
                self._taken += 1
                return None
            waiter = threading.Lock()
            waiter.acquire()
            self._waiting.append(waiter)
            return waiter

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken -= 1
