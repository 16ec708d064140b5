"""One trial: prepare, train with what the recipe decides, score the served answers, each by the command's own verb."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from divisions import Division

ROOT = Path(__file__).parents[2]
DROPSPOT = ROOT / ".venv" / "bin" / "dropspot"
_LATE = 60.0  # seconds that a training which is told to stop may take to leave its model


@dataclass(frozen=True, slots=True)
class Trial:
    """What a training came to on the pictures held out; APs by class are at an overlap of 0.5, all-point."""

    name: str
    pictures: tuple[int, int, int]  # trained on, for validation, held out
    seconds: float  # from the start of the training's process to its model
    processor_seconds: float  # of the same, on all cores
    epochs: int
    asked: int  # epochs that the recipe asked for
    map50: float
    by_class: dict[str, float]


def trial(division: Division, work: Path, limit: float) -> Trial:
    """Run one below `work`; a training that takes longer than `limit` seconds is told to stop, as SageMaker does."""
    folder = work / division.name.replace(", ", "-").replace(" ", "-")
    for part in ("prepared", "trained"):
        shutil.rmtree(folder / part, ignore_errors=True)
    prepared, trained = folder / "prepared", folder / "trained"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w") as log:
        _run(log, "prepare", *division.sources, prepared)
        before = _processor_seconds()
        _train(log, prepared, trained, limit)
        processor_seconds = _processor_seconds() - before
        _run(log, "evaluate", trained, prepared)
    report = json.loads((prepared / "report" / "report.json").read_text())
    training = json.loads((trained / "training.json").read_text())
    evaluation = json.loads((trained / "evaluation.json").read_text())
    parts = {part: of_it["images"] for part, of_it in report["splits"].items()}
    return Trial(
        division.name,
        (parts["train"], parts["validation"], parts["test"]),
        training["seconds"],
        processor_seconds,
        len(training["epochs"]),
        int(training["hyperparameters"]["epochs"]),
        evaluation["map50"],
        {one["label"]: one["ap50"] for one in evaluation["classes"]},
    )


def _run(log: IO[str], *words: str | Path) -> None:
    subprocess.run([DROPSPOT, *words], stdout=log, stderr=subprocess.STDOUT, check=True)


def _processor_seconds() -> float:
    """Return the processor time of all that was run so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _train(log: IO[str], prepared: Path, out: Path, limit: float) -> None:
    command = [DROPSPOT, "train", prepared, out]
    with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as training:
        try:
            code = training.wait(limit)
        except subprocess.TimeoutExpired:
            training.send_signal(signal.SIGTERM)
            code = training.wait(_LATE)
    if code:
        raise RuntimeError(f"dropspot train {prepared} ended with code {code}")
