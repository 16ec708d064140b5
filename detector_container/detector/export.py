"""Write a trained model: MXNet's files under the built-in algorithm's names, and the graph that serving runs."""

import json
from pathlib import Path

import mxnet as mx
import numpy as np

from detector import artifacts
from detector.anchors import anchor_boxes
from detector.networks import Network
from detector.onnx_graph import write_onnx
from detector.settings import Settings


def export_model(
    folder: Path,
    network: Network,
    weights: dict[str, mx.nd.NDArray],
    settings: Settings,
    given: dict[str, str],
    epoch: int,
    score: float,
) -> None:
    """Write all artifacts.

    `given` are the hyperparameters as they were sent: `hyperparams.json` repeats them as strings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    anchors = anchor_boxes(network.levels)
    logits, offsets = network.symbol
    probabilities = mx.sym.softmax(logits, axis=-1, name="scores")
    arrays = {name: value.asnumpy() for name, value in weights.items()}
    answers = mx.sym.Group([probabilities, offsets])
    write_onnx(
        folder / artifacts.ONNX, answers, arrays, network.image_shape, (artifacts.PROBABILITIES, artifacts.OFFSETS)
    )
    np.save(folder / artifacts.ANCHORS, anchors, allow_pickle=False)
    detection = mx.sym.contrib.MultiBoxDetection(
        mx.sym.transpose(probabilities, axes=(0, 2, 1)),
        mx.sym.reshape(offsets, shape=(0, -1)),
        mx.sym.Variable("anchors"),
        nms_threshold=settings.nms_threshold,
        nms_topk=settings.nms_topk,
        name="detection",
    )
    detection.save(str(folder / artifacts.SYMBOL))
    statistics = set(network.symbol.list_auxiliary_states())
    parameters = {f"{'aux' if name in statistics else 'arg'}:{name}": value for name, value in weights.items()}
    mx.nd.save(str(folder / artifacts.PARAMETERS), parameters | {"arg:anchors": mx.nd.array(anchors[None])})
    (folder / artifacts.HYPERPARAMETERS).write_text(json.dumps(given, indent=1, sort_keys=True) + "\n")
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
