"""`python -m fuzz --cases 20000 --seed 0`: prepare spoilt data sets; exit code 1 with findings.

`--only NUMBER` tries one case again, in this process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from fuzz import supervisor
from fuzz.cases import make_case
from fuzz.worker import try_case

MEMORY = "/dev/shm"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="try this case again, here")
    parser.add_argument("--children", type=int, default=len(os.sched_getaffinity(0)))
    told = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="dropspot-fuzz-"))
    if told.only is not None:
        return once(told.seed, told.only, kept)
    began, said = time.monotonic(), [time.monotonic()]
    # thousands of small files come and go: in memory, where there is such a folder
    scratch = Path(tempfile.mkdtemp(prefix="dropspot-fuzzing-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))

    def report(tally: supervisor.Tally) -> None:
        if time.monotonic() - said[0] > 10:
            said[0] = time.monotonic()
            print(f"{tally.outcomes.total()}/{told.cases} cases, {len(tally.findings)} findings", flush=True)

    try:
        numbers = iter(range(told.first, told.first + told.cases))
        tally = supervisor.run(told.seed, numbers, scratch, children=told.children, report=report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for finding in tally.findings:
        place = supervisor.keep(told.seed, finding, kept)
        print(f"FOUND in case {finding.case}: {finding.told.strip().splitlines()[-1][:200]}\n      kept in {place}")
    if not tally.findings:
        kept.rmdir()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    print(f"{tally.outcomes.total()} cases of seed {told.seed} in {time.monotonic() - began:.0f} s: {counts}")
    print("quarantine codes met: " + ", ".join(f"{code} {count}" for code, count in sorted(tally.codes.items())))
    return 1 if tally.findings else 0


def once(seed: int, number: int, folder: Path) -> int:
    """Try one case and leave its files where they can be looked at."""
    import prep.pipeline

    case = make_case(seed, number)
    print("\n".join(case.history))
    answer = try_case(case, folder, prep.pipeline.prepare)
    print(f"{answer['outcome']}: {answer['told']}\nall of it lies in {folder}")
    return 1 if answer["outcome"] == "failed" else 0


if __name__ == "__main__":
    sys.exit(main())
