"""Turns: so many at once, a bounded number of others waiting, and for how long the slowest has been at it."""

import threading
import time
from types import TracebackType


class CrowdedError(Exception):
    """Too many are waiting already."""


class Turns:
    """Lets `at_once` threads in at a time, each by `with`; raises CrowdedError where `most` are in or waiting."""

    def __init__(self, at_once: int, most: int) -> None:
        self._at_once = at_once
        self._most = most
        self._waiting = 0
        self._changed = threading.Condition()
        self._since: dict[int, float] = {}  # thread -> when its turn began

    @property
    def are_crowded(self) -> bool:
        """Whether nobody else is admitted at the moment."""
        return len(self._since) + self._waiting >= self._most

    def longest(self) -> float:
        """Return for how many seconds the turn has lasted that began first of those not over; 0 where there is none."""
        return time.monotonic() - min(self._since.copy().values(), default=time.monotonic())

    def __enter__(self) -> None:
        with self._changed:
            if self.are_crowded:
                raise CrowdedError
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: len(self._since) < self._at_once)
            finally:
                self._waiting -= 1
            self._since[threading.get_ident()] = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            del self._since[threading.get_ident()]
            self._changed.notify()
