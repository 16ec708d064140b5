"""`make bench-detect`: images in, documents out, beside a bare handler in the same place; see docs/benchmarks.md.

Prints Markdown tables; the exit code is 1 where a requirement is not met.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cold import cold_starts
from machine import hardware, load
from measuring import ROOT, Flow, bare_handler, client_rate, flow, single, timed_handler
from PIL import Image
from soak.place import INSTANT, Place, deployed
from tables import Spread, Verdict, table, verdicts

from dropspot_local import images

CONCURRENCY, THREADS = 2, 4  # executions at once, images at once in each
LEAST_RATE, MOST_COLD_START, MOST_GROWTH = 0.85, 1.35, 1.1
_STAGES = (
    "put",
    "on the way",
    "read document",
    "read image",
    "invoke",
    "write document",
    "own work",
)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000, help="of each handler and model, over all rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--single", type=int, default=100)
    told = parser.parse_args()
    parameters = {"DetectConcurrency": str(CONCURRENCY), "DetectThreads": str(THREADS), "LogLevel": "INFO"}
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory() as scratch, deployed(**parameters) as place:
        model, pictures = Path(scratch) / "model", scenes()
        command = [ROOT / "benchmarks" / "serve" / "random_model.py", model, "tiny", "128", "2"]
        subprocess.run([ROOT / ".envs" / "detector-train" / "bin" / "python", *command], env=_detector(), check=True)
        print(f"{hardware()}; load {load():.1f} at the beginning; {told.rounds} rounds.\n")
        for name, image, folder in (
            ("a model that answers at once", INSTANT, None),
            ("detector_container", images.DETECTOR_IMAGE, model),
        ):
            place.serve(image, folder)
            found += _throughput(place, pictures, name, told.images // told.rounds, told.rounds)
            if image == INSTANT:
                _alone(place, pictures[0], told.single)
                found.append(_cold(place, pictures[0]))
            place.withdraw()
    print(verdicts(found))
    return 0 if all(one.met for one in found) else 1


def scenes() -> list[bytes]:
    """Nine JPEGs of 320 x 240, about 30 KiB each."""
    found = []
    for number in range(9):
        buffer = io.BytesIO()
        Image.effect_noise((320, 240), 60 + number).convert("RGB").save(buffer, "JPEG", quality=80)
        found.append(buffer.getvalue())
    return found


def _detector() -> dict[str, str]:
    parts = ("detector_container", "prep_container", "layers/shared", "layers/imaging")
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in parts)}


def _throughput(place: Place, pictures: Sequence[bytes], name: str, count: int, rounds: int) -> list[Verdict]:
    own, bare = list[Flow](), list[Flow]()
    flow(place, pictures, 50, f"warm {name}")
    for number in range(rounds):
        own.append(flow(place, pictures, count, f"{name}/own-{number}"))
        with bare_handler(place):
            flow(place, pictures, 50, f"warm {name}/bare-{number}")
            bare.append(flow(place, pictures, count, f"{name}/bare-{number}"))
    ratios = Spread.of([ours.rate / theirs.rate for ours, theirs in zip(own, bare, strict=True)])
    client = client_rate(place, pictures[0], min(count, 500), CONCURRENCY * THREADS)
    print(f"### {name}\n")
    rows = [_row("detect_objects", own), _row("bare handler", bare)]
    rows.append(["bare client of the endpoint", f"{client:.0f}", "", "", "", "", ""])
    heads = ("", "Images/s: min / median / max", "Processor ms per image", "cloud", "functions", "container", "MiB")
    print(table(heads, rows), end="\n\n")
    first, last = own[0].memory[1], own[-1].memory[1]
    return [
        Verdict(f"{name}: times the bare handler's rate >= {LEAST_RATE}", ratios.text(2), ratios.middle >= LEAST_RATE),
        Verdict(
            f"{name}: a worker's memory does not grow",
            f"{first:.0f} MiB after {count} images, {last:.0f} MiB after {count * rounds}",
            last <= first * MOST_GROWTH,
        ),
    ]


def _row(name: str, flows: Sequence[Flow]) -> list[str]:
    def each(seconds: float) -> str:
        return f"{seconds / sum(one.images for one in flows) * 1000:.1f}"

    cloud, workers, endpoint = (sum(getattr(one, part) for one in flows) for part in ("cloud", "workers", "endpoint"))
    rate = Spread.of([one.rate for one in flows]).text(1)
    held = f"{max(one.memory[1] for one in flows):.0f}"
    return [name, rate, each(cloud + workers + endpoint), each(cloud), each(workers), each(endpoint), held]


def _alone(place: Place, picture: bytes, count: int) -> None:
    """One image at a time: from the put to the document, and what takes how much of it."""
    with timed_handler(place):
        dropped = single(place, picture, count, "alone")
    totals = [one["total"] for one in dropped]
    middle = statistics.median(totals)
    p99 = statistics.quantiles(totals, n=100)[98] if count > 1 else middle
    print(f"### One image alone\n\nFrom put to document: p50 {middle:.0f} ms, p99 {p99:.0f} ms of {count}.\n")
    shares = {stage: statistics.mean(one.get(stage, 0.0) for one in dropped) for stage in _STAGES}
    whole = statistics.mean(totals)
    rows = [[stage, f"{spent:.1f}", f"{spent / whole:.0%}"] for stage, spent in shares.items()]
    print(table(("Stage", "ms, mean", "Share"), rows), end="\n\n")


def _cold(place: Place, picture: bytes) -> Verdict:
    starts = cold_starts(place, picture, 8)
    own, bare = Spread.of(starts["own"]), Spread.of(starts["bare"])
    print("### A new worker's first image\n")
    rows = [["detect_objects", own.text(2)], ["bare handler", bare.text(2)]]
    print(table(("", "Processor seconds: min / median / max"), rows), end="\n\n")
    ratio = own.middle / bare.middle
    requirement = f"first image: times the bare handler's processor time <= {MOST_COLD_START}"
    return Verdict(requirement, f"{ratio:.2f}", ratio <= MOST_COLD_START)


if __name__ == "__main__":
    sys.exit(main())
