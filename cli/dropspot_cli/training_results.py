"""The folder that `dropspot train` fills: what is in it, when it may be replaced, and how: as a whole."""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dropspot.errors import DropspotError, InvalidInputError
from dropspot_cli.metric_lines import Epoch
from dropspot_cli.prepared_folders import read_document
from dropspot_cli.training_curve import curve

SCHEMA = "dropspot/training/1"
RESULT = "training.json"
CURVE = "training.svg"
LOG = "training.log"
MODEL = "model"
EVALUATION = "evaluation.json"  # `dropspot evaluate` writes it beside the model,
EVALUATION_PAGE = "evaluation.html"  # and this beside it
SCRATCH = ".training"


@dataclass(frozen=True, slots=True)
class Result:
    """What a training has come to. `epochs` are those that ended; the model has the weights of one of them.

    `best_epoch` counts from 0 as the epochs do; `validation_map` is its mAP at the hyperparameter overlap_threshold.
    """

    hyperparameters: dict[str, str]
    classes: tuple[str, ...]
    epochs: tuple[Epoch, ...]
    best_epoch: int
    validation_map: float
    stopped: bool  # before its end, by a signal
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        epochs = [{"epoch": e.number, "loss": _finite(e.loss), "validation_map": _finite(e.map50)} for e in self.epochs]
        return {"schema": SCHEMA} | asdict(self) | {"epochs": epochs}


def _finite(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None


def check_free(out: Path) -> None:
    """Raise InvalidInputError unless `out` is absent, empty or holds only what an earlier training left there."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InvalidInputError(f"the output folder {out} is a file")
    names = {entry.name for entry in out.iterdir()}
    if SCRATCH in names:
        raise InvalidInputError(
            f"{out / SCRATCH} is there: another training is at work, or one was killed (then delete it)"
        )
    if names and not _is_ours(out, names):
        raise InvalidInputError(
            f"{out} holds something else than an earlier training: choose a new or an empty folder; "
            "nothing in it was touched"
        )


def _is_ours(out: Path, names: set[str]) -> bool:
    if not {MODEL, RESULT} <= names <= {MODEL, RESULT, CURVE, LOG, EVALUATION, EVALUATION_PAGE}:
        return False
    try:
        read_document(out / RESULT, SCHEMA)
    except (DropspotError, OSError):
        return False
    return True


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A folder below `out` for everything that isn't finished; it goes, and with it whatever it took to make it."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    scratch = out / SCRATCH
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # one that holds something by now stays
            for folder in made:
                folder.rmdir()


def put(result: Result, model: Path, log: Path, out: Path) -> None:
    """Put the model, the log, the curve and the document into `out`, in place of an earlier training's.

    An evaluation of the earlier model goes: it says nothing of this one. All paths are on one file system.
    """
    fresh = model.with_name("fresh")
    fresh.mkdir()
    threshold = float(result.hyperparameters.get("overlap_threshold", "0.5"))
    (fresh / CURVE).write_text(curve(result.epochs, result.best_epoch, threshold), encoding="utf-8")
    (fresh / RESULT).write_text(json.dumps(result.document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    model.rename(fresh / MODEL)
    log.rename(fresh / LOG)
    earlier = model.with_name("earlier")
    earlier.mkdir()
    for name in (RESULT, MODEL, CURVE, LOG, EVALUATION, EVALUATION_PAGE):
        if (out / name).exists():
            (out / name).rename(earlier / name)
    for name in (MODEL, CURVE, LOG, RESULT):  # the document last: it says that the rest is there
        (fresh / name).rename(out / name)


def summary(result: Result, out: Path) -> str:
    """What was trained and where it lies, in one line."""
    how = "stopped" if result.stopped else "trained"
    epochs: Sequence[Epoch] = result.epochs
    number = f"{len(epochs)} epoch" + ("" if len(epochs) == 1 else "s")
    weights = f"weights of epoch {result.best_epoch + 1}, validation mAP {result.validation_map:.3f}"
    if not epochs:
        weights = "weights of an epoch that was not finished, never validated"
    return f"{how} after {number}: {weights}; the model is in {out / MODEL}, its curve in {out / CURVE}"
