"""`python -m fuzz_serving --model FOLDER --cases 20000 --seed 0`: post spoilt pictures; exit code 1 with findings.

Runs in the serving environment. Without `--model` a `tiny` network with random weights is made in the training one.
`--only NUMBER` tries one case again, in this process. What went wrong is kept in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz_serving import supervisor
from fuzz_serving.asking import ask, problem
from fuzz_serving.cases import MAX_BODY_BYTES, make_case

ROOT = Path(__file__).parents[2]
_TRAIN_PYTHON = ROOT / ".envs" / "detector-train" / "bin" / "python"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz_serving", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="try this case again, here")
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument("--children", type=int, default=supervisor.cores())
    parser.add_argument("--timeout", type=float, default=supervisor.TIMEOUT, help="seconds that a case may take")
    parser.add_argument("--saboteur", default="", help="a model that misbehaves (saboteurs.py): the cases must fail")
    told = parser.parse_args()
    began, said = time.monotonic(), [time.monotonic()]

    def report(tally: supervisor.Tally) -> None:
        if time.monotonic() - said[0] > 10:
            said[0] = time.monotonic()
            print(f"{tally.total}/{told.cases} cases, {len(tally.findings)} findings", flush=True)

    with tempfile.TemporaryDirectory(prefix="dropspot-fuzzing-") as scratch:
        model = told.model or _random_model(Path(scratch) / "model")
        if told.only is not None:
            return once(told.seed, told.only, model)
        tally = supervisor.run(
            told.seed,
            iter(range(told.first, told.first + told.cases)),
            model,
            Path(scratch),
            children=told.children,
            timeout=told.timeout,
            saboteur=told.saboteur,
            report=report,
        )
    if tally.findings:
        kept = Path(tempfile.mkdtemp(prefix="dropspot-fuzz-"))
    for finding in tally.findings:
        case = make_case(told.seed, finding.case)
        (kept / f"case-{finding.case}").write_bytes(case.body)
        last = finding.told.strip().splitlines()[-1][:200]
        print(f"FOUND in case {finding.case} ({case.history}): {finding.told.splitlines()[0][:200]} ... {last}")
        print(f"      kept in {kept / f'case-{finding.case}'}")
    counts = ", ".join(f"{count} {status or 'lost'}" for status, count in sorted(tally.statuses.items()))
    print(f"{tally.total} requests of seed {told.seed} in {time.monotonic() - began:.0f} s: {counts}")
    return 1 if tally.findings else 0


def _random_model(folder: Path) -> Path:
    command = [_TRAIN_PYTHON, ROOT / "benchmarks" / "serve" / "random_model.py", folder, "tiny", "128", "2"]
    subprocess.run(command, env=dict(os.environ), check=True)
    return folder


def once(seed: int, number: int, model: Path) -> int:
    """Try one case here."""
    from detector.served_model import ServedModel
    from detector.server import DetectionServer

    case, served = make_case(seed, number), ServedModel(model)
    server = DetectionServer(1, MAX_BODY_BYTES)
    server.take(served)
    answered = asyncio.run(ask(server.app, case))
    wrong = problem(case, answered, served.description.nms_topk)
    print(f"{case.history}\n{answered.status}: {answered.body[:1000]!r}\n{wrong or 'as promised'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
