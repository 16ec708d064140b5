"""Measurements and requirements as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the most of several measurements."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min(values), statistics.median(values), max(values))

    def text(self, digits: int = 0) -> str:
        return " / ".join(f"{value:,.{digits}f}" for value in (self.least, self.middle, self.most))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One requirement, what was measured, and whether that is enough."""

    requirement: str
    measured: str
    met: bool


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is of numbers."""
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(found: Sequence[Verdict]) -> str:
    """The requirements, each with its measurement."""
    heads = ("Requirement", "Measured", "Met")
    return table(heads, ((one.requirement, one.measured, "yes" if one.met else "**no**") for one in found))
