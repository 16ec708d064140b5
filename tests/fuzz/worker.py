"""The child process (fuzzing.supervisor): prepares a data set for each case, which is `prepared` or `refused`."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropspot.errors import InvalidInputError
from dropspot.plan_fields import Fields, stated
from dropspot.preparation_plan import PreparationPlan
from fuzz.accounting import problems
from fuzz.cases import Case, make_case
from fuzz.seeds import DATASET_URI
from prep.folders import Folders

TIMEOUT_SECONDS = 20.0
ADDRESS_SPACE = 6 << 30  # bytes
MAX_GROWTH_KIB = 1 << 20  # of the resident set, beyond what the imports took
_PREPARED_URI = "s3://bucket/runs/1/prepared/"
_ENVIRONMENT = {"DROPSPOT_DATASET_URI": DATASET_URI, "DROPSPOT_PREPARED_URI": _PREPARED_URI}

Prepare = Callable[..., Any]


def try_case(case: Case, folder: Path, prepare: Prepare) -> dict[str, Any]:
    """Prepare one case below `folder` and say how it went; every exception but a refusal is a failure."""
    folders = Folders.of_container(folder, _ENVIRONMENT)
    folders.dataset.mkdir(parents=True)
    case.write(folders.dataset)
    try:
        plan = PreparationPlan.take(Fields(stated(case.plan, "plan.json"), "plan.json"))
        prepare(folders, plan, say=lambda line: None, workers=0)
        wrong = problems(folders.dataset, folders.prepared, folders.report)
    except InvalidInputError as refusal:
        return _refused(str(refusal), folders)
    except Exception:  # noqa: BLE001 - that is what is looked for
        return {"outcome": "failed", "told": traceback.format_exc()}
    if left := [path.name for path in folders.work.glob("prep-*")]:
        wrong.append(f"scratch is left: {left}")
    codes = _codes(folders.report)
    return {"outcome": "failed" if wrong else "prepared", "told": "; ".join(wrong), "codes": codes}


def _refused(sentence: str, folders: Folders) -> dict[str, Any]:
    """A refusal is one sentence that can be printed, and what was left out until then can be read."""
    sentence.encode()
    if not sentence.strip() or len(sentence) > 2000:
        return {"outcome": "failed", "told": f"a refusal of {len(sentence)} characters: {sentence[:200]!r}"}
    return {"outcome": "refused", "told": sentence, "codes": _codes(folders.report)}


def _codes(report: Path) -> list[str]:
    path = report / "quarantine.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return sorted({json.loads(line)["code"] for line in lines if line})


def _high_water_kib() -> int:
    """The largest resident set of this program; ru_maxrss would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def main() -> None:
    """Try the cases that stdin names until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--prepare", default="prep.pipeline:prepare")
    told = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = told.prepare.partition(":")
    prepare = getattr(importlib.import_module(module), name)
    answers, sys.stdout = sys.stdout, sys.stderr
    at_first = _high_water_kib()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        case = make_case(told.seed, int(line))
        folder = Path(tempfile.mkdtemp(prefix="case-"))
        try:
            answer = try_case(case, folder, prepare)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        growth = _high_water_kib() - at_first
        if growth > MAX_GROWTH_KIB:
            answer = {"outcome": "failed", "told": f"it took {growth >> 10} MiB of memory"}
        print(json.dumps({"case": case.number, **answer}), file=answers, flush=True)


if __name__ == "__main__":
    main()
