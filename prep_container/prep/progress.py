"""Lines that tell how far a long step is."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Says `prepared N/M images, X images/s, Y s left`, at most every `interval_seconds`, and once at the end."""

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
        self._started = self._said = clock()
        self._done = 0

    def advance(self) -> None:
        """Count one more picture."""
        self._done += 1
        now = self._clock()
        if self._done == self._total or now - self._said >= self._interval:
            self._said = now
            rate = self._done / max(now - self._started, 1e-9)
            left = (self._total - self._done) / rate
            self._say(f"prepared {self._done}/{self._total} images, {rate:.1f} images/s, {left:.0f} s left")
