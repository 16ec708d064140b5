"""`python -m fuzz_images --cases 20000 --seed 0`: let detect_objects handle spoilt pictures; exit code 1 with findings.

`--only NUMBER` tries one case again, in this process. What went wrong is kept in a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fuzzing import command, supervisor

from fuzz_images.cases import make_case
from fuzz_images.worker import predict, try_case

TIMEOUT_SECONDS = 60.0  # of a child that hangs; worker.MAX_SECONDS is what a case may take of the processor


def main() -> int:
    told, began = command.parser("fuzz_images", __doc__, timeout=TIMEOUT_SECONDS).parse_args(), time.monotonic()
    if told.only is not None:
        case = make_case(told.seed, told.only)
        answer = try_case(case, predict)
        print(f"{case.history}\n{answer}")
        return 1 if answer["outcome"] == "failed" else 0
    codes = Counter[str]()

    def note(answer: dict[str, Any]) -> None:
        codes[answer.get("code", "failed")] += 1

    with tempfile.TemporaryDirectory(prefix="dropspot-fuzzing-") as scratch:
        tally = supervisor.run(
            ["fuzz_images.worker", "--seed", str(told.seed)],
            iter(range(told.first, told.first + told.cases)),
            Path(scratch),
            timeout=told.timeout,
            children=told.children,
            note=note,
            report=command.progress(told.cases),
        )
    if tally.findings:
        kept = Path(tempfile.mkdtemp(prefix="dropspot-fuzz-"))
    for finding in tally.findings:
        case = make_case(told.seed, finding.case)
        (kept / f"case-{finding.case}").write_bytes(case.body)
        print(f"FOUND in case {finding.case} ({case.history}): {finding.told.strip().splitlines()[-1][:200]}")
        print(f"      kept in {kept / f'case-{finding.case}'}")
    print(command.conclusion(tally, told.seed, time.monotonic() - began))
    print("codes met: " + ", ".join(f"{code} {count}" for code, count in sorted(codes.items())))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
