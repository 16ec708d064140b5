"""The files of a trained model: what they are called and what `detector.json` says. Shared by training and serving."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from detector.anchors import AnchorLevel
from dropspot.errors import TransientError

SCHEMA = "dropspot/detector/1"

SYMBOL = "model_algo_1-symbol.json"
PARAMETERS = "model_algo_1-0000.params"
HYPERPARAMETERS = "hyperparams.json"
ONNX = "detector.onnx"
ANCHORS = "anchors.npy"
DESCRIPTION = "detector.json"
CARD = "model_card.json"

PROBABILITIES = "probabilities"  # ONNX output (B, N, classes + 1)
OFFSETS = "box_offsets"  # ONNX output (B, N, 4)


@dataclass(frozen=True, slots=True)
class Description:
    """What serving needs to know beside the graph and the anchors."""

    base_network: str
    image_shape: int
    num_classes: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    nms_threshold: float
    nms_topk: int
    best_epoch: int
    validation_map: float  # of the exported weights, at `overlap_threshold`, all-point
    trunk: str = ""  # which trunk, where base_network has several
    anchors: tuple[AnchorLevel, ...] = ()  # by map, fine to coarse; models of earlier versions don't say

    def write(self, folder: Path) -> None:
        """Write the description beside the model's other files; raise TransientError as `write_artifact`."""
        write_artifact(folder / DESCRIPTION, (json.dumps({"schema": SCHEMA} | asdict(self), indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> "Description":
        """Read a model folder's description; raise ValueError where it is of another schema."""
        try:
            return cls.parse((folder / DESCRIPTION).read_text())
        except ValueError as error:
            raise ValueError(f"{folder / DESCRIPTION}: {error}") from error

    @classmethod
    def parse(cls, text: str) -> "Description":
        """Read a description's text; raise ValueError where it is of another schema."""
        values = json.loads(text)
        schema = values.pop("schema", None) if isinstance(values, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"schema is {schema!r}, expected {SCHEMA!r}")
        values["mean"], values["deviation"] = tuple(values["mean"]), tuple(values["deviation"])
        values["anchors"] = tuple(
            AnchorLevel(level["side"], tuple(level["sizes"]), tuple(level["ratios"]), level["step"])
            for level in values.get("anchors", ())
        )
        return cls(**values)


def write_artifact(path: Path, content: bytes) -> None:
    """Write a file of a model, to the disk itself; raise TransientError where it can't be, as on a full disk."""
    try:
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise TransientError(f"the model cannot be written to {path}: {error.strerror or error}") from error
