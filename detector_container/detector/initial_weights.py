"""The parameters a training starts from."""

import math
from dataclasses import dataclass

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector.networks import Network

Array = npt.NDArray[np.float32]

_BACKGROUND_BIAS = 2.0  # most anchors see background: the first steps need not learn it


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """Parameters and batch normalisation's statistics by name, and which of the parameters are pretrained."""

    parameters: dict[str, Array]
    statistics: dict[str, Array]
    pretrained: frozenset[str]


def initial_weights(network: Network, seed: int, pretrained: dict[str, Array]) -> InitialWeights:
    """Return the network's weights, pretrained where given, else drawn.

    Convolutions are drawn after He et al.; the class head from N(0, 0.01) with a bias towards background. Raises
    ValueError where a pretrained tensor has another shape than the network's.
    """
    shape = (1, 3, network.image_shape, network.image_shape)
    argument_shapes, _, statistic_shapes = network.symbol.infer_shape(data=shape)
    rng = np.random.default_rng(seed)
    parameters = {}
    for name, size in zip(network.symbol.list_arguments(), argument_shapes, strict=True):
        if name == "data":
            continue
        if name in pretrained:
            if pretrained[name].shape != tuple(size):
                raise ValueError(
                    f"the pretrained {name} has shape {pretrained[name].shape}, the network's {tuple(size)}"
                )
            parameters[name] = pretrained[name]
        else:
            parameters[name] = _drawn(name, tuple(size), network.num_classes, rng)
    statistics = {}
    for name, size in zip(network.symbol.list_auxiliary_states(), statistic_shapes, strict=True):
        statistics[name] = np.ones(size, np.float32) if name.endswith("_var") else np.zeros(size, np.float32)
    return InitialWeights(parameters, statistics, frozenset(parameters) & frozenset(pretrained))


def _drawn(name: str, shape: tuple[int, ...], num_classes: int, rng: np.random.Generator) -> Array:
    if name == "class_head_bias":
        bias = np.zeros((shape[0] // (num_classes + 1), num_classes + 1), np.float32)
        bias[:, 0] = _BACKGROUND_BIAS
        return bias.reshape(-1)
    if name.endswith("_gamma"):
        return np.ones(shape, np.float32)
    if not name.endswith("_weight"):
        return np.zeros(shape, np.float32)
    deviation = 0.01 if name in ("class_head_weight", "box_head_weight") else math.sqrt(2 / math.prod(shape[1:]))
    return rng.normal(0, deviation, shape).astype(np.float32)


def as_ndarrays(values: dict[str, Array]) -> dict[str, mx.nd.NDArray]:
    """Return the arrays as MXNet's."""
    return {name: mx.nd.array(value) for name, value in values.items()}
