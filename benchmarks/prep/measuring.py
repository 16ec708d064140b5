"""Rounds of runs, the programs taking turns, and the numbers that come of them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from programs import Run
from tables import Spread

Way = Callable[[], Run]


@dataclass(frozen=True, slots=True)
class Measured:
    """Every run of each way, by the way's name, in the order of the turns."""

    runs: Mapping[str, Sequence[Run]]

    def rates(self, way: str) -> Spread:
        return Spread.of([run.rate for run in self.runs[way]])

    def whole_rates(self, way: str) -> Spread:
        return Spread.of([run.whole_rate for run in self.runs[way]])

    def ratio(self, way: str, other: str) -> Spread:
        """How many times as fast one way was as another, turn by turn."""
        return Spread.of([a.rate / b.rate for a, b in zip(self.runs[way], self.runs[other], strict=True)])

    def seconds(self, way: str, phase: str) -> float:
        """The median of one phase (`start_up`, `working`, `finishing`) or of the processor time (`cpu`)."""
        return float(statistics.median(getattr(run, phase) for run in self.runs[way]))


@dataclass(frozen=True, slots=True)
class Turns:
    """Ways that are compared with each other, and how often each has its turn in a round."""

    ways: Mapping[str, Way]
    in_a_round: int = 1


def take_turns(compared: Sequence[Turns], rounds: int, say: Callable[[str], None]) -> Measured:
    """Run every way in every round, in the given order."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(rounds):
        for turns in compared:
            for _ in range(turns.in_a_round):
                for name, way in turns.ways.items():
                    run = way()
                    runs[name].append(run)
                    say(f"round {number + 1}/{rounds}: {name}: {run.rate:,.1f} pictures/s")
    return Measured(runs)
