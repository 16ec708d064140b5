"""The training step of the two networks that GluonCV has too, beside GluonCV's own: same input, batch and optimiser.

Both are processes on the same cores and take turns. Extra layers, anchors and the loss are each library's own: hard
negatives are chosen in numpy here, by operators there.

    .venv/bin/python benchmarks/train/beside_gluoncv.py [--rounds 3] [--steps 4]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "common"))
from machine import hardware, load, versions
from tables import Spread, table

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
SUBJECTS = (("resnet-50", 512, 2), ("vgg-16", 300, 2))


class Trainer:
    """A process that makes training steps when it is asked to."""

    def __init__(self, environment: str, script: str, *subject: object) -> None:
        path = os.pathsep.join(str(ROOT / part) for part in ("detector_container", "layers/shared", "layers/imaging"))
        self.python = ROOT / ".envs" / environment / "bin" / "python"
        self._process = subprocess.Popen(
            [self.python, HERE / script, *map(str, subject)],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.anchors = int(self._answer())

    def rate(self, steps: int, batch: int) -> float:
        """Make so many steps; return the pictures of a second."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return steps * batch / float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with code {self._process.wait()}")
        return line

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    rows, pythons = [], set()
    for name, side, batch in SUBJECTS:
        trainers = [
            Trainer("detector-train", "own_steps.py", name, side, batch),
            Trainer("gluoncv", "gluoncv_steps.py", name, side, batch),
        ]
        own, other = ([], [])
        for _ in range(options.rounds):
            own.append(trainers[0].rate(options.steps, batch))
            other.append(trainers[1].rate(options.steps, batch))
        ratio = Spread.of([one / another for one, another in zip(own, other, strict=True)])
        rows.append(
            (
                f"{name}, {side} px, batch {batch}",
                Spread.of(own).text(2),
                Spread.of(other).text(2),
                ratio.text(2),
                f"{trainers[0].anchors:,}",
                f"{trainers[1].anchors:,}",
            )
        )
        for trainer in trainers:
            trainer.close()
            pythons.add(trainer.python)
    print(f"{hardware()}; load {load():.1f} at the end; {options.rounds} rounds of {options.steps} steps.")
    print(f"{'; '.join(f'{python.parents[1].name}: {versions(python)}' for python in sorted(pythons))}.\n")
    heads = ("Network", "Own, pictures/s", "GluonCV's, pictures/s", "Own over GluonCV's", "Anchors", "GluonCV's")
    print(table(heads, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
