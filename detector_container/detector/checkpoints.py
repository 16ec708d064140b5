"""Keep a training's state in a folder that SageMaker copies to S3: an interrupted training goes on where it was."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.settings import Settings

Array = npt.NDArray[np.float32]

_NAME = "checkpoint.npz"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `epoch` (the number of epochs done).

    `best` are the weights that are kept so far (see training.py).
    """

    epoch: int
    state: dict[str, Array]
    best_map: float
    best_epoch: int
    kept_map: float
    best: dict[str, Array]


def identity(settings: Settings, samples: int) -> str:
    """Return what a checkpoint must have been made with to be resumed: the same settings on as many pictures."""
    return hashlib.sha256(json.dumps([asdict(settings), samples], sort_keys=True).encode()).hexdigest()


def write_checkpoint(folder: Path, made_with: str, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint in one go, so that a kill at any moment leaves a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {name: getattr(checkpoint, name) for name in ("epoch", "best_map", "best_epoch", "kept_map")}
    head = json.dumps({"made_with": made_with} | numbers)
    arrays: dict[str, npt.NDArray[Any]] = {"head": np.frombuffer(head.encode(), np.uint8)}
    arrays |= {f"state/{name}": value for name, value in checkpoint.state.items()}
    arrays |= {f"best/{name}": value for name, value in checkpoint.best.items()}
    partial = folder / f".{_NAME}.partial"
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type] # numpy's stub takes names for its own flag
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(folder / _NAME)


def read_checkpoint(folder: Path, made_with: str) -> Checkpoint | None:
    """Return the folder's checkpoint, or None where there is none that was made with the same settings."""
    path = folder / _NAME
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        head = json.loads(archive["head"].tobytes())
        if head["made_with"] != made_with:
            return None
        state = {name.removeprefix("state/"): archive[name] for name in archive.files if name.startswith("state/")}
        best = {name.removeprefix("best/"): archive[name] for name in archive.files if name.startswith("best/")}
    return Checkpoint(head["epoch"], state, head["best_map"], head["best_epoch"], head["kept_map"], best)
