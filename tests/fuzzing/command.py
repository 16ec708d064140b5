"""The command of a fuzzer: the options they share, and what is said meanwhile and at the end."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from fuzzing.supervisor import Tally, cores


def parser(name: str, description: str | None, *, timeout: float) -> argparse.ArgumentParser:
    """Options of every fuzzer."""
    options = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    options.add_argument("--cases", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--first", type=int, default=0, help="number of the first case")
    options.add_argument("--only", type=int, help="try this case again, in this process")
    options.add_argument("--children", type=int, default=cores())
    options.add_argument("--timeout", type=float, default=timeout, help="seconds that a case may take")
    return options


def progress(cases: int) -> Callable[[Tally], None]:
    """What says now and then how far it is."""
    said = [time.monotonic()]

    def report(tally: Tally) -> None:
        if time.monotonic() - said[0] > 10:
            said[0] = time.monotonic()
            print(f"{tally.outcomes.total()}/{cases} cases, {len(tally.findings)} findings", flush=True)

    return report


def conclusion(tally: Tally, seed: int, seconds: float) -> str:
    """Return the last sentence: how many cases ended how."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    return f"{tally.outcomes.total()} cases of seed {seed} in {seconds:.0f} s: {counts}"
