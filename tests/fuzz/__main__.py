"""`python -m fuzz --cases 20000 --seed 0`: prepare spoilt data sets; exit code 1 with findings.

`--only NUMBER` tries one case again, in this process.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fuzzing import command, supervisor

from fuzz.cases import make_case
from fuzz.keeping import keep
from fuzz.worker import TIMEOUT_SECONDS, try_case

MEMORY = "/dev/shm"


def main() -> int:
    told = command.parser("fuzz", __doc__, timeout=TIMEOUT_SECONDS).parse_args()
    kept = Path(tempfile.mkdtemp(prefix="dropspot-fuzz-"))
    if told.only is not None:
        return once(told.seed, told.only, kept)
    began, codes = time.monotonic(), Counter[str]()
    # thousands of small files come and go: in memory, where there is such a folder
    scratch = Path(tempfile.mkdtemp(prefix="dropspot-fuzzing-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))

    def note(answer: dict[str, Any]) -> None:
        codes.update(answer.get("codes", ()))

    try:
        tally = supervisor.run(
            ["fuzz.worker", "--seed", str(told.seed)],
            iter(range(told.first, told.first + told.cases)),
            scratch,
            timeout=told.timeout,
            children=told.children,
            note=note,
            report=command.progress(told.cases),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for finding in tally.findings:
        place = keep(told.seed, finding, kept)
        print(f"FOUND in case {finding.case}: {finding.told.strip().splitlines()[-1][:200]}\n      kept in {place}")
    if not tally.findings:
        kept.rmdir()
    print(command.conclusion(tally, told.seed, time.monotonic() - began))
    print("quarantine codes met: " + ", ".join(f"{code} {count}" for code, count in sorted(codes.items())))
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
