"""How much of the bare training step's speed the whole pipeline keeps.

Bare: the same cached batch again and again, nothing but forward, loss, backward and update. Whole: epochs as a training
has them, each picture augmented, normalised and matched to the anchors anew, while the network is busy with the batch
before. Both take turns in one process on one training's state, so that whatever else slows the machine slows both.

Run it in the training environment on an idle machine; exit code 1 where a ratio is below what is required:

    PYTHONPATH=detector_container:layers/shared:layers/imaging .envs/detector-train/bin/python benchmarks/train/run.py
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from detector.threads import available_cores, set_openmp_threads

set_openmp_threads()  # MXNet reads the number of threads when imported

import mxnet as mx  # noqa: E402

sys.path.append(str(Path(__file__).parents[1] / "common"))
from machine import hardware, load, versions  # noqa: E402
from subjects import SUBJECTS, Subject, Trained  # noqa: E402


@dataclass(frozen=True, slots=True)
class Round:
    """Pictures per second of one turn each, and which share of the whole pipeline's time was spent on waiting."""

    bare: float
    whole: float
    waiting: float

    @property
    def ratio(self) -> float:
        return self.whole / self.bare


def measured(trained: Trained, rounds: int) -> list[Round]:
    """Take turns: an epoch through the pipeline, as many steps on the cached batch."""
    threads, per_epoch = available_cores(), trained.batches.per_epoch
    pictures = per_epoch * trained.batches.size
    cached = next(iter(trained.batches.of_epoch(0, threads)))
    for _ in range(2):  # the first steps allocate and choose kernels
        trained.step(cached)
    result = []
    for number in range(rounds):
        begun = time.monotonic()
        for _ in range(per_epoch):
            trained.step(cached)
        mx.nd.waitall()
        bare = time.monotonic() - begun
        begun, waited = time.monotonic(), 0.0
        source = trained.batches.of_epoch(number + 1, threads)
        for _ in range(per_epoch):
            asked = time.monotonic()
            batch = next(source)
            waited += time.monotonic() - asked
            trained.step(batch)
        mx.nd.waitall()
        whole = time.monotonic() - begun
        source.close()
        result.append(Round(pictures / bare, pictures / whole, waited / whole))
        print(f"round {number + 1}/{rounds}: {result[-1].ratio:.3f}", file=sys.stderr)
    return result


def row(subject: Subject, rounds: list[Round]) -> tuple[str, bool]:
    """Return the table's row and whether the median ratio is what is required."""
    ratio = statistics.median(one.ratio for one in rounds)
    passed = ratio >= subject.required
    cells = (
        subject.name,
        f"{subject.side} px, batch {subject.batch}",
        f"{statistics.median(one.bare for one in rounds):.1f}",
        f"{statistics.median(one.whole for one in rounds):.1f}",
        f"{statistics.median(one.waiting for one in rounds):.1%}",
        f"{min(one.ratio for one in rounds):.3f} / {ratio:.3f} / {max(one.ratio for one in rounds):.3f}",
        f"{subject.required:.1f}",
        "pass" if passed else "FAIL",
    )
    return f"| {' | '.join(cells)} |", passed


def main() -> int:
    """Measure, print a Markdown table, return 1 where a requirement is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=24, help="batches per turn")
    parser.add_argument("--networks", nargs="*", choices=sorted(SUBJECTS), default=sorted(SUBJECTS))
    options = parser.parse_args()
    print(f"Machine: {hardware()}; {available_cores()} threads; load before: {load():.2f}.")
    print(f"Versions: {versions(Path(sys.executable))}.")
    print(f"{options.rounds} rounds of {options.batches} batches each; ratio: least / median / most of the rounds.\n")
    head = ("network", "input", "bare, pictures/s", "whole, pictures/s", "waiting", "whole / bare", "required", "")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    all_passed = True
    for name in options.networks:
        text, passed = row(SUBJECTS[name], measured(SUBJECTS[name].trained(options.batches), options.rounds))
        print(text, flush=True)
        all_passed &= passed
    return 0 if all_passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
