"""The parameters a training starts from."""

import math
from dataclasses import dataclass

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector.networks import Network
from detector.vgg import CONV4_3_SCALE

Array = npt.NDArray[np.float32]

_BACKGROUND_BIAS = 2.0  # most anchors see background: the first steps need not learn it

# The heads' layers: of the networks whose maps share them, and of SSD (multibox.py)
_CLASS_HEADS = ("class_head", "_cls_pred_conv")
_BOX_HEADS = ("box_head", "_loc_pred_conv")


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """Parameters and batch normalisation's statistics by name.

    `pretrained` names the parameters that are trained at a lower rate, for what they know (see training_graph.py).
    """

    parameters: dict[str, Array]
    statistics: dict[str, Array]
    pretrained: frozenset[str]


def parameter_shapes(network: Network) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Return the shapes of the network's parameters and of its statistics, by name."""
    shape = (1, 3, network.image_shape, network.image_shape)
    argument_shapes, _, statistic_shapes = network.symbol.infer_shape(data=shape)
    parameters = dict(zip(network.symbol.list_arguments(), map(tuple, argument_shapes), strict=True))
    del parameters["data"]
    return parameters, dict(zip(network.symbol.list_auxiliary_states(), map(tuple, statistic_shapes), strict=True))


def initial_weights(network: Network, seed: int, given: dict[str, Array], *, one_rate: bool = False) -> InitialWeights:
    """Return the network's weights, as given, else drawn.

    Convolutions are drawn after He et al.; the class heads from N(0, 0.01) with a bias towards background.
    `one_rate`: given parameters are trained at the same rate as drawn ones. Raises ValueError where a given tensor has
    another shape than the network's.
    """
    rng = np.random.default_rng(seed)
    shapes, statistic_shapes = parameter_shapes(network)
    parameters = {
        name: _given(name, shape, given) if name in given else _drawn(name, shape, network.num_classes, rng)
        for name, shape in shapes.items()
    }
    statistics = {
        name: _given(name, shape, given) if name in given else _untouched(name, shape)
        for name, shape in statistic_shapes.items()
    }
    return InitialWeights(parameters, statistics, frozenset() if one_rate else frozenset(parameters) & frozenset(given))


def _given(name: str, shape: tuple[int, ...], given: dict[str, Array]) -> Array:
    if given[name].shape != shape:
        raise ValueError(f"the given {name} has shape {given[name].shape}, the network's {shape}")
    return given[name]


def _untouched(name: str, shape: tuple[int, ...]) -> Array:
    return np.ones(shape, np.float32) if name.endswith("_var") else np.zeros(shape, np.float32)


def _drawn(name: str, shape: tuple[int, ...], num_classes: int, rng: np.random.Generator) -> Array:
    layer, _, kind = name.rpartition("_")
    if kind == "bias" and layer.endswith(_CLASS_HEADS):
        bias = np.zeros((shape[0] // (num_classes + 1), num_classes + 1), np.float32)
        bias[:, 0] = _BACKGROUND_BIAS
        return bias.reshape(-1)
    if kind == "gamma":
        return np.ones(shape, np.float32)
    if kind == "scale":
        return np.full(shape, CONV4_3_SCALE, np.float32)
    if kind != "weight":
        return np.zeros(shape, np.float32)
    deviation = 0.01 if layer.endswith(_CLASS_HEADS + _BOX_HEADS) else math.sqrt(2 / math.prod(shape[1:]))
    return rng.normal(0, deviation, shape).astype(np.float32)


def as_ndarrays(values: dict[str, Array]) -> dict[str, mx.nd.NDArray]:
    """Return the arrays as MXNet's."""
    return {name: mx.nd.array(value) for name, value in values.items()}
