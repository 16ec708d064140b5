"""Keep a training's state in a folder that SageMaker copies to S3: an interrupted training goes on where it was.

The folder holds the last checkpoint and the one before. Each is an .npz archive followed by the SHA-256 of its bytes
(`numpy.load` passes over what follows an archive), so that a file torn or altered on its way to S3 and back is noticed
before anything is read from it, and the one before is used.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.settings import Settings
from dropspot.errors import TransientError

LOG = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]

NAME, PREVIOUS = "checkpoint.npz", "checkpoint-previous.npz"
_CORRUPT = "corrupt-{}"  # what a file that can't be used is renamed to
_FORMAT = 2
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(slots=True)
class Progress:
    """How far a training is and what it has found: with the weights and the optimiser's memory, all that it depends on.

    Every random choice follows from the seed, the epoch and the place in it (see batches.py).
    """

    epoch: int = 0  # epochs done
    batch: int = 0  # batches done of the one after
    finite_steps: int = 0  # of that epoch; the sums of their losses:
    cross_entropy: float = 0.0
    smooth_l1: float = 0.0
    bad_steps: int = 0  # without a finite loss, in a row
    best_map: float = -1.0  # the greatest validation mAP
    best_epoch: int = -1  # the epoch whose weights are kept
    kept_map: float = 0.0  # and their validation mAP
    patience_map: float = -1.0  # the validation mAP that early stopping wants exceeded
    epochs_without_gain: int = 0
    validation_boxes: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)  # the metrics of each that was validated


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training's state; `best` are the weights that are kept so far (see training.py)."""

    progress: Progress
    state: dict[str, Array]
    best: dict[str, Array]

    @property
    def epoch(self) -> int:
        """The number of epochs done."""
        return self.progress.epoch


def identity(
    settings: Settings,
    start: str,
    pictures: str,
    train: Sequence[Array],
    validation: Sequence[Array],
    anchors: Array,
    hosts: int = 1,
) -> str:
    """Return what a checkpoint must have been made with to be resumed: the same in all of this.

    `start` tells the weights that the training starts from (see StartingPoint.digest), `pictures` the pictures' bytes
    (see TrainingData.digest); `train` and `validation` have the labels of each picture. Pictures may change under
    the same boxes, as where a camera's colours are put right, and boxes of the same pictures may be corrected.
    """
    digest = hashlib.sha256(json.dumps([asdict(settings), start, pictures], sort_keys=True).encode())
    for side in (train, validation):
        digest.update(f"{len(side)} pictures".encode())
        for rows in side:
            labels = np.ascontiguousarray(rows, np.float32)
            digest.update(str(len(labels)).encode() + labels.tobytes())
    digest.update(np.ascontiguousarray(anchors, np.float32).tobytes())
    if hosts > 1:  # an epoch then has fewer, larger steps
        digest.update(f"{hosts} hosts".encode())
    return digest.hexdigest()


def write_checkpoint(folder: Path, made_with: str, checkpoint: Checkpoint) -> None:
    """Make this the folder's checkpoint and the present one the previous; a kill at any moment leaves a whole one.

    Raises TransientError where the file can't be written, as on a full disk; what was there is still there.
    """
    head = json.dumps({"format": _FORMAT, "made_with": made_with, "progress": asdict(checkpoint.progress)})
    arrays: dict[str, npt.NDArray[Any]] = {"head": np.frombuffer(head.encode(), np.uint8)}
    arrays |= {f"state/{name}": value for name, value in checkpoint.state.items()}
    arrays |= {f"best/{name}": value for name, value in checkpoint.best.items()}
    archive = io.BytesIO()  # in memory first: a disk that is full half way through breaks one plain write alone
    np.savez(archive, **arrays)  # type: ignore[arg-type] # numpy's stub takes names for its own flag
    content = archive.getbuffer()
    partial = folder / f".{NAME}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(content)
            stream.write(hashlib.sha256(content).digest())
            stream.flush()
            os.fsync(stream.fileno())
        if (folder / NAME).exists():
            (folder / NAME).replace(folder / PREVIOUS)
        partial.replace(folder / NAME)
        _sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()  # frees the space that the sentence in output/failure needs
        raise TransientError(f"checkpoint {folder / NAME} cannot be written: {error.strerror or error}") from error


def read_checkpoint(folder: Path, made_with: str) -> Checkpoint | None:
    """Return the folder's newest whole checkpoint, or None where there is none that was made with the same.

    A corrupt one is set aside under another name, with a warning.
    """
    for path in (folder / NAME, folder / PREVIOUS):
        if not path.is_file():
            continue
        content = path.read_bytes()
        archive, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if hashlib.sha256(archive).digest() != digest:
            LOG.warning("checkpoint %s is corrupt (its checksum is wrong) and is not used", path)
            path.replace(path.with_name(_CORRUPT.format(path.name)))
            continue
        checkpoint = _read(archive, made_with)
        if checkpoint is None:
            LOG.warning(
                "checkpoint %s was made with other hyperparameters, pictures or labels, or from other weights,"
                " and is not used",
                path,
            )
            continue
        return checkpoint
    return None


def _read(archive: bytes, made_with: str) -> Checkpoint | None:
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        head = json.loads(arrays["head"].tobytes())
        if (head.get("format"), head["made_with"]) != (_FORMAT, made_with):
            return None
        state, best = (
            {name.removeprefix(part): arrays[name] for name in arrays.files if name.startswith(part)}
            for part in ("state/", "best/")
        )
    return Checkpoint(Progress(**head["progress"]), state, best)


def _sync_folder(folder: Path) -> None:
    """Make the folder's new names survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
