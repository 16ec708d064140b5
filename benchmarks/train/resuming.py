"""Whether a training that is interrupted and resumed ends as good as one that isn't, on all cores and several seeds.

Each seed trains `tiny` on the generated data set once undisturbed, and once killed at one random moment and told to
stop at another, then resumed from its checkpoints. Prints a Markdown table; exit code 1 where the validation mAP of
the two differs by more than 0.02:

    .venv/bin/python benchmarks/train/resuming.py [--seeds 5] [--epochs 16]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dropspot_cli.toybox import write_toybox

sys.path.append(str(Path(__file__).parents[1] / "common"))
from machine import hardware, load
from tables import table

ROOT = Path(__file__).parents[2]
PREP_PYTHON, TRAIN_PYTHON = (ROOT / ".envs" / name / "bin" / "python" for name in ("prep", "detector-train"))
CODE = ("layers/shared", "layers/imaging", "prep_container", "detector_container")
MOST = 0.02
PICTURES = 240
_KEPT = re.compile(r"the model has the weights of epoch (\d+), validation mAP (\S+)")


def environment(ml: Path) -> dict[str, str]:
    """The environment variables of a container's code on this /opt/ml tree."""
    path = os.pathsep.join(str(ROOT / folder) for folder in CODE)
    return dict(os.environ) | {"PYTHONPATH": path, "DROPSPOT_ML_ROOT": str(ml), "PYTHONUNBUFFERED": "1"}


def prepare(work: Path) -> Path:
    """Make the data set and prepare it as the pipeline does; return the folder of the channels."""
    write_toybox(work / "prep" / "processing" / "input" / "dataset", PICTURES, (160, 120))
    command = [PREP_PYTHON, "-m", "prep"]
    subprocess.run(command, env=environment(work / "prep"), check=True, stdout=subprocess.DEVNULL, timeout=300)
    return work / "prep" / "processing" / "output"


def root(folder: Path, prepared: Path, seed: int, epochs: int) -> Path:
    """Lay out an /opt/ml tree for a training with this seed."""
    for name in ("train", "validation"):
        shutil.copytree(next(prepared.glob(f"**/{name}")), folder / "input" / "data" / name)
    report = json.loads(next(prepared.glob("**/report.json")).read_text())
    given = {
        "num_classes": len(report["classes"]),
        "num_training_samples": report["num_training_samples"],
        "base_network": "tiny",
        "image_shape": 128,
        "mini_batch_size": 16,
        "optimizer": "adam",
        "learning_rate": 0.002,
        "schedule": "cosine",
        "weight_averaging": 0.98,
        "clip_gradient": 5,
        "epochs": epochs,
        "seed": seed,
    }
    config = folder / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps({name: str(value) for name, value in given.items()}))
    return folder


def start(ml: Path) -> subprocess.Popen[str]:
    """Start the container's train command."""
    command = [TRAIN_PYTHON, "-m", "detector.train"]
    return subprocess.Popen(command, env=environment(ml), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def trained(ml: Path) -> tuple[float, str]:
    """Train to the end; return the mAP of the weights that are kept, and the log."""
    with start(ml) as process:
        log, _ = process.communicate()
    kept = _KEPT.search(log)
    if process.returncode or kept is None:
        raise RuntimeError(f"the training failed:\n{log}")
    return float(kept[2]), log


def interrupted(ml: Path, lasted: float, draw: random.Random) -> tuple[float, list[str]]:
    """Train with two interruptions; return the mAP and where the training went on after each."""
    resumed = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        with start(ml) as process:
            try:
                process.communicate(timeout=draw.uniform(0.15, 0.45) * lasted)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
            log, _ = process.communicate()
        resumed += _resumed(log)
    score, log = trained(ml)
    return score, resumed + _resumed(log)


def _resumed(log: str) -> list[str]:
    return [
        f"{epoch}.{batch}"
        for epoch, batch in re.findall(r"resumed from the checkpoint in epoch (\d+), after (\d+)", log)
    ]


def main() -> int:
    """Measure, print, and return 1 where two scores differ by too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=16)
    options = parser.parse_args()
    rows, far = [], 0.0
    with tempfile.TemporaryDirectory(prefix="dropspot-bench-resume-") as name:
        work = Path(name)
        prepared = prepare(work)
        for seed in range(options.seeds):
            begun = time.monotonic()
            whole, _ = trained(root(work / f"whole-{seed}", prepared, seed, options.epochs))
            lasted = time.monotonic() - begun
            again, resumed = interrupted(
                root(work / f"broken-{seed}", prepared, seed, options.epochs),
                lasted,
                random.Random(seed),  # noqa: S311
            )
            far = max(far, abs(whole - again))
            rows.append((str(seed), f"{whole:.4f}", f"{again:.4f}", f"{again - whole:+.4f}", ", ".join(resumed)))
            print(f"seed {seed}: {whole:.4f}, resumed {again:.4f}", file=sys.stderr)
    print(f"{hardware()}; load {load():.1f} at the end; {PICTURES} pictures, {options.epochs} epochs.\n")
    print(table(("Seed", "Uninterrupted mAP", "Interrupted mAP", "Difference", "Went on in epoch.batch"), rows))
    print(f"\nGreatest difference {far:.4f}, at most {MOST} allowed: {'met' if far <= MOST else '**not met**'}.")
    return 0 if far <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
