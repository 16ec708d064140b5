"""Write a trained model: MXNet's files under the built-in algorithm's names, and the graph that serving runs."""

import io
import json
import os
from pathlib import Path

import mxnet as mx
import numpy as np

from detector import artifacts
from detector.anchors import anchor_boxes
from detector.artifacts import write_artifact
from detector.networks import Network
from detector.onnx_graph import write_onnx
from detector.settings import Settings
from dropspot.errors import TransientError


def export_model(
    folder: Path,
    network: Network,
    weights: dict[str, mx.nd.NDArray],
    settings: Settings,
    given: dict[str, str],
    epoch: int,
    score: float,
) -> None:
    """Write all artifacts; raise TransientError, which names the file, where the disk doesn't take one.

    `given` are the hyperparameters as they were sent: `hyperparams.json` repeats them as strings.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TransientError(f"the model cannot be written to {folder}: {error.strerror or error}") from error
    anchors = anchor_boxes(network.levels)
    logits, offsets = network.symbol
    probabilities = mx.sym.softmax(logits, axis=-1, name="scores")
    arrays = {name: value.asnumpy() for name, value in weights.items()}
    answers = mx.sym.Group([probabilities, offsets])
    write_onnx(
        folder / artifacts.ONNX, answers, arrays, network.image_shape, (artifacts.PROBABILITIES, artifacts.OFFSETS)
    )
    saved_anchors = io.BytesIO()
    np.save(saved_anchors, anchors, allow_pickle=False)
    write_artifact(folder / artifacts.ANCHORS, saved_anchors.getvalue())
    detection = mx.sym.contrib.MultiBoxDetection(
        mx.sym.transpose(probabilities, axes=(0, 2, 1)),
        mx.sym.reshape(offsets, shape=(0, -1)),
        mx.sym.Variable("anchors"),
        nms_threshold=settings.nms_threshold,
        nms_topk=settings.nms_topk,
        name="detection",
    )
    write_artifact(folder / artifacts.SYMBOL, detection.tojson().encode())
    statistics = set(network.symbol.list_auxiliary_states())
    parameters = {f"{'aux' if name in statistics else 'arg'}:{name}": value for name, value in weights.items()}
    parameters["arg:anchors"] = mx.nd.array(anchors[None])
    write_artifact(folder / artifacts.PARAMETERS, _saved(parameters))
    write_artifact(folder / artifacts.HYPERPARAMETERS, (json.dumps(given, indent=1, sort_keys=True) + "\n").encode())
    description = artifacts.Description(
        network.name,
        network.image_shape,
        network.num_classes,
        network.mean,
        network.deviation,
        settings.nms_threshold,
        settings.nms_topk,
        epoch,
        round(score, 6),
        network.trunk,
        network.levels,
    )
    description.write(folder)


def _saved(arrays: dict[str, mx.nd.NDArray]) -> bytes:
    """Return MXNet's file of the arrays; it writes to names only, and says nothing where a disk is full."""
    with os.fdopen(os.memfd_create("parameters"), "rb") as memory:
        mx.nd.save(f"/proc/self/fd/{memory.fileno()}", arrays)
        return memory.read()
