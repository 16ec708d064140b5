"""`model_card.json`: what a model is, what it was trained on and with, and how well it did.

The same training writes the same card: it holds no time, no host and no path.
"""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mxnet
import numpy as np
import numpy.typing as npt
import onnx

import detector
import dropspot
from detector import artifacts
from detector.initial_weights import parameter_shapes
from detector.networks import Network
from detector.settings import Settings

SCHEMA = "dropspot/model-card/1"

Labels = Sequence[npt.NDArray[np.float32]]  # by picture: rows of class id, xmin, ymin, xmax, ymax


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What a card says beyond the network and its hyperparameters."""

    origin: str  # what the training started from
    train: Labels
    validation: Labels
    best_epoch: int
    validation_map: float
    epochs: Sequence[Mapping[str, float]]  # the metrics of each that was validated


def write_model_card(folder: Path, network: Network, settings: Settings, facts: TrainingFacts) -> None:
    """Write the card beside the model's other artifacts; raise TransientError where it can't be written."""
    card = json.dumps(model_card(network, settings, facts), indent=1) + "\n"
    artifacts.write_artifact(folder / artifacts.CARD, card.encode())


def model_card(network: Network, settings: Settings, facts: TrainingFacts) -> dict[str, Any]:
    """Return the card's document."""
    parameters, _ = parameter_shapes(network)
    return {
        "schema": SCHEMA,
        "network": {
            "base_network": network.name,
            "trunk": network.trunk,
            "image_shape": network.image_shape,
            "num_classes": network.num_classes,
            "parameters": sum(int(np.prod(shape)) for shape in parameters.values()),
            "maps": [level.side for level in network.levels],
            "anchors": sum(level.side**2 * level.per_cell for level in network.levels),
            "anchor_sizes": [[round(size, 6) for size in level.sizes] for level in network.levels],
            "anchor_ratios": [[round(ratio, 6) for ratio in level.ratios] for level in network.levels],
        },
        "training": {
            "started_from": facts.origin,
            "hyperparameters": asdict(settings),  # every one, with its value in effect
            "channels": {"train": _channel(facts.train), "validation": _channel(facts.validation)},
        },
        "evaluation": {
            "kept_epoch": facts.best_epoch,
            "validation_map": round(facts.validation_map, 6),
            "overlap_threshold": settings.overlap_threshold,
            "epochs": [{name: round(value, 6) for name, value in metrics.items()} for metrics in facts.epochs],
        },
        "software": {
            "detector": detector.__version__,
            "code": code_digest(),
            "python": platform.python_version(),
            "mxnet": mxnet.__version__,
            "numpy": np.__version__,
            "onnx": onnx.__version__,
        },
    }


def _channel(labels: Labels) -> dict[str, Any]:
    boxes = Counter(int(row[0]) for rows in labels for row in rows)
    return {
        "pictures": len(labels),
        "boxes_by_class": {str(class_id): boxes[class_id] for class_id in sorted(boxes)},
        "labels_sha256": labels_digest(labels),
    }


def labels_digest(labels: Labels) -> str:
    """Return a digest of the boxes, picture by picture: two data sets hardly ever have all of them in common.

    Pictures are left out, of which a channel that came through a pipe keeps no original.
    """
    digest = hashlib.sha256()
    for rows in labels:
        digest.update(len(rows).to_bytes(4, "little"))
        digest.update(np.ascontiguousarray(rows, "<f4").tobytes())
    return digest.hexdigest()


def code_digest() -> str:
    """Return a digest of the sources that trained: those of `detector` and of the `dropspot` it imports."""
    digest = hashlib.sha256()
    for package in (detector, dropspot):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
