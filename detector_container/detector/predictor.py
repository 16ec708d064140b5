"""Run a network for inference on MXNet: for validation during training, as the reference for the served graph.

MXNet 1.9.1 fuses convolutions when an inference graph is bound, and a fused convolution without batch normalisation
keeps the weights of its first forward pass even when new ones are set, without an error. So a predictor's weights are
fixed: make a new one for new weights.
"""

from collections.abc import Iterator, Sequence

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector.anchors import anchor_boxes
from detector.batches import network_input, validation_fit
from detector.channel import Sample
from detector.detections import detections
from detector.networks import Network

Floats = npt.NDArray[np.float32]


class Predictor:
    """A network bound once to the weights it is given, on the device they are on."""

    def __init__(self, network: Network, weights: dict[str, mx.nd.NDArray], batch_size: int = 8) -> None:
        self.network = network
        self.anchors = anchor_boxes(network.levels)
        self._batch_size = batch_size
        logits, offsets = network.symbol
        graph = mx.sym.Group([mx.sym.softmax(logits, axis=-1), offsets])
        shape = (batch_size, 3, network.image_shape, network.image_shape)
        arguments = {name: weights[name] for name in graph.list_arguments() if name != "data"}
        device = next(iter(arguments.values())).context
        self._executor = graph.bind(
            device,
            args=arguments | {"data": mx.nd.zeros(shape, ctx=device)},
            aux_states={name: weights[name] for name in graph.list_auxiliary_states()},
            grad_req="null",
        )

    def raw(self, pictures: Floats) -> tuple[Floats, Floats]:
        """Return class probabilities (B, N, classes + 1) and offsets (B, N, 4) for prepared pictures (B, 3, S, S)."""
        probabilities, offsets = [], []
        for start in range(0, len(pictures), self._batch_size):
            part = pictures[start : start + self._batch_size]
            padded = np.zeros((self._batch_size, *part.shape[1:]), np.float32)
            padded[: len(part)] = part
            answer = self._executor.forward(is_train=False, data=mx.nd.array(padded))
            probabilities.append(answer[0].asnumpy()[: len(part)])
            offsets.append(answer[1].asnumpy()[: len(part)])
        return np.concatenate(probabilities), np.concatenate(offsets)

    def detect(self, samples: Sequence[Sample], nms_threshold: float, topk: int) -> Iterator[Floats]:
        """Yield each sample's detections (see detections.py)."""
        side = self.network.image_shape
        fit = validation_fit(side)
        for start in range(0, len(samples), self._batch_size):
            part = samples[start : start + self._batch_size]
            pictures = [
                network_input(sample.picture(fit), side, self.network.mean, self.network.deviation) for sample in part
            ]
            for probabilities, offsets in zip(*self.raw(np.stack(pictures)), strict=True):
                yield detections(probabilities, offsets, self.anchors, nms_threshold, topk).astype(np.float32)
