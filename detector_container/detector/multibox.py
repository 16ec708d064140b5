"""SSD as published for MXNet: extra layers beyond the trunk and, for each map, anchors and prediction heads of its own.

Layers and parameter names are those of MXNet's SSD example (Apache MXNet 1.x, `example/ssd/symbol`: `common.py`,
`symbol_builder.py`), which the built-in algorithm descends from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mxnet as mx

from detector.anchors import AnchorLevel
from detector.layers import Map, padded_convolution, relu

FEW_RATIOS = (1.0, 2.0, 0.5)
MANY_RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
_FEWEST_CHANNELS = 128  # of an extra layer's 1x1 convolution: the example's `min_filter`


@dataclass(frozen=True, slots=True)
class Extra:
    """A layer beyond the trunk: a 1x1 convolution, then a 3x3 one of these channels, stride and padding."""

    channels: int
    stride: int
    padding: int


@dataclass(frozen=True, slots=True)
class Scale:
    """One map to predict on: its anchors (see AnchorLevel), and the extra layer that makes it.

    No extra layer where the trunk makes it.
    """

    sizes: tuple[float, float]
    ratios: tuple[float, ...]
    extra: Extra | None = None
    step: float | None = None


@dataclass(frozen=True, slots=True)
class NamedMap:
    """A map and the name that its heads' parameters begin with."""

    name: str
    map: Map


def with_extra_layers(trunk: Sequence[NamedMap], scales: Sequence[Scale]) -> list[NamedMap]:
    """Return the trunk's maps and one of each extra layer, each made from the map before it."""
    maps = list(trunk)
    for index, scale in enumerate(scales):
        if scale.extra is None:
            continue
        name, extra = f"multi_feat_{index}_conv", scale.extra
        narrow = padded_convolution(
            maps[-1].map, f"{name}_1x1_conv", max(_FEWEST_CHANNELS, extra.channels // 2), kernel=1
        )
        wide = padded_convolution(
            relu(narrow, f"{name}_1x1_relu"),
            f"{name}_3x3_conv",
            extra.channels,
            kernel=3,
            stride=extra.stride,
            padding=extra.padding,
        )
        maps.append(NamedMap(f"{name}_3x3_relu", relu(wide, f"{name}_3x3_relu")))
    return maps


def heads(
    maps: Sequence[NamedMap], scales: Sequence[Scale], num_classes: int
) -> tuple[mx.sym.Symbol, tuple[AnchorLevel, ...]]:
    """Return the graph's outputs (see networks.py) and the anchors they belong to."""
    levels = []
    logits, offsets = [], []
    for source, scale in zip(maps, scales, strict=True):
        level = AnchorLevel(source.map.side, scale.sizes, scale.ratios, scale.step)
        levels.append(level)
        logits.append(_head(source, "cls", level.per_cell, num_classes + 1))
        offsets.append(_head(source, "loc", level.per_cell, 4))
    outputs = [
        mx.sym.concat(*logits, dim=1, name="logits"),
        mx.sym.concat(*offsets, dim=1, name="offsets"),
    ]
    return mx.sym.Group(outputs), tuple(levels)


def _head(source: NamedMap, kind: str, per_cell: int, width: int) -> mx.sym.Symbol:
    """Return a head's answers, (B, anchors of the map, width)."""
    name = f"{source.name}_{kind}_pred"
    answers = padded_convolution(source.map, f"{name}_conv", per_cell * width, kernel=3, padding=1)
    cells_last = mx.sym.transpose(answers.symbol, axes=(0, 2, 3, 1), name=f"{name}_transpose")
    return mx.sym.reshape(cells_last, shape=(0, -1, width), name=f"{name}_reshape")
