"""A training as it goes on, for people: a bar on a terminal, a line for each epoch everywhere else."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from dropspot_cli.console import duration
from dropspot_cli.metric_lines import Epoch, EpochReader

_PROGRESS = re.compile(r"#progress_metric: host=\S+, completed (\S+) %")


@dataclass(slots=True)
class Pace:
    """How fast a training comes on: two marks of what part of it was done when, on one clock."""

    begun: float  # when nothing was done, loading included
    _first: tuple[float, float] | None = None  # (when, part)
    _last: tuple[float, float] | None = None

    def mark(self, now: float, part: float) -> None:
        """Take note that `part` of the training (0 to 1) is done."""
        self._last = (now, part)
        self._first = self._first or self._last

    def seconds_left(self, now: float) -> float | None:
        """Return how long it will go on, None before the first mark.

        From the second mark on the time before the first one is left out: that went into loading, too.
        """
        if self._first is None or self._last is None:
            return None
        when, part = self._last
        since, before = self._first if part > self._first[1] else (self.begun, 0.0)
        if part <= before:
            return None
        return max(0.0, (when - since) / (part - before) * (1 - part) - (now - when))


@dataclass(slots=True)
class TrainingDisplay:
    """Reads a training's log line by line; as a context it shows the bar. `epochs` are those that have ended."""

    console: Console
    total: int  # epochs at most
    clock: Callable[[], float] = time.monotonic
    epochs: list[Epoch] = field(default_factory=list)
    _reader: EpochReader = field(default_factory=EpochReader)
    _pace: Pace = field(init=False)
    _bar: Progress = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(self.clock())
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            _Left(self),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._bar.add_task("loading the pictures", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def feed(self, line: str) -> None:
        """Take the next line of the log."""
        task = self._bar.task_ids[0]
        if (epoch := self._reader.feed(line)) is not None:
            self.epochs.append(epoch)
            told = epoch_line(epoch, self.total)
            self._bar.update(task, description=told)
            if not self.console.is_terminal:
                self.console.print(told, markup=False, soft_wrap=True)
        elif found := _PROGRESS.search(line):
            part = min(float(found[1]) / 100, 1.0)
            self._pace.mark(self.clock(), part)
            self._bar.update(task, completed=part)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, soft_wrap=True)

    def seconds_left(self) -> float | None:
        """Return how long the training will go on, None while nobody knows."""
        return self._pace.seconds_left(self.clock())


def epoch_line(epoch: Epoch, total: int) -> str:
    """What an epoch came to, in one line."""
    loss = "" if epoch.loss is None else f"loss {epoch.loss:.3f}   "
    return f"epoch {epoch.number + 1:>{len(str(total))}}/{total}   {loss}validation mAP {epoch.map50:.3f}"


class _Left(ProgressColumn):
    """The time left. Rich's own column forgets what is older than half a minute, and an epoch may be longer."""

    def __init__(self, display: TrainingDisplay) -> None:
        super().__init__()
        self._display = display

    def render(self, task: Task) -> Text:
        left = self._display.seconds_left()
        return Text("" if left is None or task.completed >= 1 else f"about {duration(left)} left")
