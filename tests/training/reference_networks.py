"""torchvision's ResNet-50 and VGG-16 in numpy, from its documented layout: what converted weights are held against."""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

State = Mapping[str, np.ndarray]

VGG = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)


def convolution(data: np.ndarray, weight: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """One picture (C, H, W) through a convolution without bias."""
    padded = np.pad(data, ((0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(weight, windows, axes=((1, 2, 3), (0, 3, 4)))


def max_pool(data: np.ndarray, kernel: int, stride: int, padding: int = 0) -> np.ndarray:
    padded = np.pad(data, ((0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    return sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride].max(axis=(3, 4))


def norm(state: State, name: str, data: np.ndarray) -> np.ndarray:
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
    shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
    return data * scale[:, None, None] + shift[:, None, None]


def relu(data: np.ndarray) -> np.ndarray:
    return np.maximum(data, 0)


def vgg16_features(state: State, data: np.ndarray) -> np.ndarray:
    """Up to the last ReLU before the last pooling."""
    place = 0
    for step in VGG:
        if step == "M":
            data, place = max_pool(data, 2, 2), place + 1
        else:
            weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            data, place = relu(convolution(data, weight, padding=1) + bias[:, None, None]), place + 2
    return data


def resnet50_layer4(state: State, data: np.ndarray) -> np.ndarray:
    """Up to the end of `layer4`."""
    data = max_pool(relu(norm(state, "bn1", convolution(data, state["conv1.weight"], 2, 3))), 3, 2, 1)
    for layer, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            name, stride = f"layer{layer}.{block}.", 2 if layer > 1 and block == 0 else 1
            inner = relu(norm(state, name + "bn1", convolution(data, state[name + "conv1.weight"])))
            inner = relu(norm(state, name + "bn2", convolution(inner, state[name + "conv2.weight"], stride, 1)))
            inner = norm(state, name + "bn3", convolution(inner, state[name + "conv3.weight"]))
            if block == 0:
                projected = convolution(data, state[name + "downsample.0.weight"], stride)
                data = norm(state, name + "downsample.1", projected)
            data = relu(inner + data)
    return data


def drawn_resnet50(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A state dictionary of torchvision's names and shapes with drawn values; every statistic differs from 0 and 1."""
    state: dict[str, np.ndarray] = {}

    def layer(convolution_name: str, norm_name: str, out: int, into: int, kernel: int) -> None:
        deviation = np.sqrt(2 / (into * kernel**2))
        state[f"{convolution_name}.weight"] = rng.normal(0, deviation, (out, into, kernel, kernel)).astype(np.float32)
        for kind, low, high in (("weight", 0.5, 1), ("bias", -0.1, 0.1), ("running_mean", -0.1, 0.1)):
            state[f"{norm_name}.{kind}"] = rng.uniform(low, high, out).astype(np.float32)
        state[f"{norm_name}.running_var"] = rng.uniform(0.8, 1.5, out).astype(np.float32)
        state[f"{norm_name}.num_batches_tracked"] = np.array(7, np.int64)

    layer("conv1", "bn1", 64, 3, 7)
    into = 64
    for index, (blocks, inner) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        for block in range(blocks):
            name = f"layer{index}.{block}."
            layer(name + "conv1", name + "bn1", inner, into, 1)
            layer(name + "conv2", name + "bn2", inner, inner, 3)
            layer(name + "conv3", name + "bn3", 4 * inner, inner, 1)
            if block == 0:
                layer(name + "downsample.0", name + "downsample.1", 4 * inner, into, 1)
            into = 4 * inner
    state["fc.weight"], state["fc.bias"] = np.zeros((1000, 2048), np.float32), np.zeros(1000, np.float32)
    return state


def drawn_vgg16_features(rng: np.random.Generator) -> dict[str, np.ndarray]:
    state, place, into = {}, 0, 3
    for step in VGG:
        if isinstance(step, int):
            values = rng.normal(0, np.sqrt(2 / (into * 9)), (step, into, 3, 3))
            state[f"features.{place}.weight"] = values.astype(np.float32)
            state[f"features.{place}.bias"] = rng.uniform(-0.1, 0.1, step).astype(np.float32)
            place, into = place + 2, step
        else:
            place += 1
    return state
