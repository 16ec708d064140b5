"""What scoring an evaluation costs: `python benchmarks/score/run.py`. Prints Markdown on standard output.

The answers are generated: boxes of five sizes in a picture, near hits, doubles, and noise up to the given number. Times
are of the processor, so that a busy machine doesn't matter; each case runs in a process of its own.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dropspot.evaluation import detections_in, score, truth_in

sys.path.append(str(Path(__file__).parents[1] / "common"))
import machine
from tables import table

CASES = ((1000, 100, 3), (2000, 100, 37), (5000, 100, 37), (5000, 200, 37))  # pictures, detections in each, classes
ROUNDS = 3


def material(pictures: int, detections: int, classes: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a truth.json and the answers to its pictures, as they would be read."""
    generator = random.Random(0)  # noqa: S311  a reproducible generator, not a secret one
    truth, answers = {}, {}
    for number in range(pictures):
        boxes, rows = list[dict[str, Any]](), list[list[float]]()
        for _ in range(generator.choice([1, 1, 2, 3, 5])):
            box = _box(generator)
            class_id = generator.randrange(classes)
            corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
            boxes.append({"class_id": class_id, "difficult": generator.random() < 0.05} | corners)
            for _ in range(generator.choice([0, 1, 2, 3])):
                near = [edge + generator.gauss(0, 0.02) for edge in box]
                rows.append([class_id, generator.random(), *near])
        while len(rows) < detections:
            rows.append([generator.randrange(classes), generator.random() ** 4, *_box(generator)])
        name = f"{number:05}.jpg"
        truth[name] = {"width": 500, "height": 375, "boxes": boxes}
        answers[name] = json.dumps({"prediction": rows})
    return {"images": truth}, answers


def _box(generator: random.Random) -> list[float]:
    x, y = generator.uniform(0, 0.7), generator.uniform(0, 0.7)
    return [x, y, x + generator.uniform(0.02, 0.3), y + generator.uniform(0.02, 0.3)]


def measure(pictures: int, detections: int, classes: int) -> dict[str, float]:
    """Return the seconds of processor time of each stage, and the most memory in MiB."""
    document, answers = material(pictures, detections, classes)
    began = time.process_time()
    truth = truth_in(document)
    found = {name: detections_in(json.loads(text), truth[name]) for name, text in answers.items()}
    read = time.process_time()
    evaluation = score([f"class {number}" for number in range(classes)], truth, found)
    json.dumps(evaluation.document)
    ended = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"read": read - began, "score": ended - read, "peak": peak}


def main() -> None:
    """Measure every case, the median of some rounds."""
    rows = []
    for case in CASES:
        command = [sys.executable, __file__, *map(str, case)]
        rounds = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(ROUNDS)]
        middle = {name: sorted(one[name] for one in rounds)[ROUNDS // 2] for name in rounds[0]}
        figures = (f"{middle['read']:.1f}", f"{middle['score']:.1f}", f"{middle['peak']:.0f}")
        rows.append([*map(str, case), *figures])
    heads = ("pictures", "detections in each", "classes", "read, s", "score, s", "most memory, MiB")
    print(f"{machine.hardware()}; {machine.versions(Path(sys.executable))}\n\n{table(heads, rows)}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measure(*map(int, sys.argv[1:]))))
    else:
        main()
