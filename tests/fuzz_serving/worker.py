"""The child process (fuzzing.supervisor): posts a picture for each case, whose outcome is the status."""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from detector.served_model import ServedModel
from detector.service import DetectionService
from fuzz_serving import saboteurs
from fuzz_serving.asking import ask, problem
from fuzz_serving.cases import MAX_BODY_BYTES, make_case

MAX_GROWTH_KIB = 1 << 20  # of the resident set, beyond what the model took


def main() -> None:
    """Try the cases that stdin names until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--saboteur", choices=sorted(saboteurs.BY_NAME))
    told = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    model = ServedModel(told.model)
    model.prove()
    if told.saboteur:
        model.detect = saboteurs.BY_NAME[told.saboteur]  # type: ignore[method-assign]
    service = DetectionService(1, MAX_BODY_BYTES)
    service.take(model)
    _try_all(service, told.seed, model.description.nms_topk)


def _try_all(service: DetectionService, seed: int, topk: int) -> None:
    at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("ready", flush=True)
    for line in sys.stdin:
        answer = _try_one(service, seed, int(line), topk)
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_first
        if growth > MAX_GROWTH_KIB:
            answer |= {"outcome": "failed", "told": f"it took {growth >> 10} MiB of memory"}
        print(json.dumps(answer), flush=True)


def _try_one(service: DetectionService, seed: int, number: int, topk: int) -> dict[str, Any]:
    case = make_case(seed, number)
    try:
        answered = ask(service.answer, case)
        wrong = problem(case, answered, topk)
        return {"case": number, "outcome": "failed" if wrong else str(answered.status), "told": wrong}
    except Exception:  # noqa: BLE001 - that is what is looked for
        return {"case": number, "outcome": "failed", "told": traceback.format_exc()}


if __name__ == "__main__":
    main()
