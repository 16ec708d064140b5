"""The measurements as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import Benchmarked
from measuring import Measured
from tables import table


def sets(data: Sequence[Benchmarked]) -> str:
    """What was measured on."""
    heads = ("Pictures", "Number", "Mean megapixels", "Mean KiB", "Bits per pixel")
    return table(
        heads,
        (
            (
                one.name,
                f"{one.count:,}",
                f"{one.pixels / one.count / 1e6:.2f}",
                f"{one.bytes / one.count / 1024:.0f}",
                f"{8 * one.bytes / one.pixels:.2f}",
            )
            for one in data
        ),
    )


def rates(measured: Measured) -> str:
    """Every way's rate from the first picture to the last, that of the whole process, and its start-up."""
    heads = (
        "Pictures, way, processes",
        "Pictures/s, first to last: min / median / max",
        "Pictures/s, whole process: median",
        "Start-up, s",
        "After the last, s",
        "Processor ms per picture",
    )
    return table(
        heads,
        (
            (
                way,
                measured.rates(way).text(),
                f"{measured.whole_rates(way).middle:,.0f}",
                f"{measured.seconds(way, 'start_up'):.2f}",
                f"{measured.seconds(way, 'finishing'):.2f}",
                f"{1000 * measured.seconds(way, 'cpu') / measured.runs[way][0].pictures:.2f}",
            )
            for way in measured.runs
        ),
    )
