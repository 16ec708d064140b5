"""`python -m fuzz_serving --model FOLDER --cases 20000 --seed 0`: post spoilt pictures; exit code 1 with findings.

Runs in the serving environment. Without `--model` a `tiny` network with random weights is made in the training one.
`--only NUMBER` tries one case again, in this process. What went wrong is kept in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzzing import command, supervisor

from fuzz_serving.asking import ask, problem
from fuzz_serving.cases import MAX_BODY_BYTES, make_case

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0
_TRAIN_PYTHON = ROOT / ".envs" / "detector-train" / "bin" / "python"


def main() -> int:
    options = command.parser("fuzz_serving", __doc__, timeout=TIMEOUT_SECONDS)
    options.add_argument("--model", type=Path, help="a model folder")
    options.add_argument("--saboteur", default="", help="a model that misbehaves (saboteurs.py): the cases must fail")
    told, began = options.parse_args(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dropspot-fuzzing-") as scratch:
        model = told.model or _random_model(Path(scratch) / "model")
        if told.only is not None:
            return once(told.seed, told.only, model)
        sabotage = ["--saboteur", told.saboteur] if told.saboteur else []
        tally = supervisor.run(
            ["fuzz_serving.worker", "--seed", str(told.seed), "--model", str(model), *sabotage],
            iter(range(told.first, told.first + told.cases)),
            Path(scratch),
            timeout=told.timeout,
            children=told.children,
            report=command.progress(told.cases),
        )
    if tally.findings:
        kept = Path(tempfile.mkdtemp(prefix="dropspot-fuzz-"))
    for finding in tally.findings:
        case = make_case(told.seed, finding.case)
        (kept / f"case-{finding.case}").write_bytes(case.body)
        last = finding.told.strip().splitlines()[-1][:200]
        print(f"FOUND in case {finding.case} ({case.history}): {finding.told.splitlines()[0][:200]} ... {last}")
        print(f"      kept in {kept / f'case-{finding.case}'}")
    print(command.conclusion(tally, told.seed, time.monotonic() - began))
    return 1 if tally.findings else 0


def _random_model(folder: Path) -> Path:
    command = [_TRAIN_PYTHON, ROOT / "benchmarks" / "serve" / "random_model.py", folder, "tiny", "128", "2"]
    subprocess.run(command, env=dict(os.environ), check=True)
    return folder


def once(seed: int, number: int, model: Path) -> int:
    """Try one case here."""
    from detector.served_model import ServedModel
    from detector.service import DetectionService

    case, served = make_case(seed, number), ServedModel(model)
    service = DetectionService(1, MAX_BODY_BYTES)
    service.take(served)
    answered = ask(service.answer, case)
    wrong = problem(case, answered, served.description.nms_topk)
    print(f"{case.history}\n{answered.status}: {answered.body[:1000]!r}\n{wrong or 'as promised'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
