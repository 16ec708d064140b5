"""Lines that tell how far a long step is."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Says `prepared N/M images, X images/s, Y s left`, at most every `interval_seconds`, and once at the end.

    The rate is that of the pictures after the first one: how long workers take to start says nothing of the rest.
    """

    def __init__(
        self,
        total: int,
        say: Callable[[str], None],
        *,
        interval_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._say = say
        self._interval = interval_seconds
        self._clock = clock
        self._said = clock()
        self._done = 0
        self._first: float | None = None

    def advance(self) -> None:
        """Count one more decoded picture."""
        self._done += 1
        now = self._clock()
        if self._first is None:
            self._first = now
        if self._done < self._total and now - self._said < self._interval:
            return
        self._said = now
        line = f"prepared {self._done}/{self._total} images"
        if self._done > 1:
            rate = (self._done - 1) / max(now - self._first, 1e-9)
            line += f", {rate:.1f} images/s, {(self._total - self._done) / rate:.0f} s left"
        self._say(line)
