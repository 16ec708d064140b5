"""The detectors: a trunk, further maps and prediction heads.

A network's graph gives two outputs for a batch of B pictures and N anchors: `logits` (B, N, classes + 1; class 0 is the
background) and `offsets` (B, N, 4; see targets.py). Its loss is computed outside of the graph (loss.py).

`vgg-16` and `resnet-50` are SSD as published for MXNet (multibox.py). The others have a feature pyramid whose maps
share their heads' weights, which learns more from few boxes than a head of its own for each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mxnet as mx

from detector import efficientnet, multibox, resnet, vgg
from detector.anchors import AnchorLevel, doubling_sizes
from detector.layers import Map, add_upsampled, convolution_norm_relu
from dropspot.errors import InvalidInputError

RATIOS = (1.0, 2.0, 0.5)


@dataclass(frozen=True, slots=True)
class Network:
    """A detector's graph and what goes with it."""

    name: str
    image_shape: int
    num_classes: int
    symbol: mx.sym.Symbol  # outputs: logits, offsets
    levels: tuple[AnchorLevel, ...]
    mean: tuple[float, float, float]  # of the channels R, G, B on 0..255: subtracted
    deviation: tuple[float, float, float]  # divided by
    pretrained: bool  # the container carries ImageNet weights for the trunk
    trunk: str = ""  # which trunk, where there are several of the name (see resnet.py)


def build_network(base_network: str, image_shape: int, num_classes: int, trunk: str = "") -> Network:
    """Return the network of that name; raise InvalidInputError where there is none of that name or with that trunk."""
    build = _BUILDERS.get(base_network)
    if build is None:
        raise InvalidInputError(
            f"hyperparameter base_network is {base_network!r}: the detector container trains "
            f"{', '.join(sorted(_BUILDERS))}"
        )
    return build(image_shape, num_classes, trunk)


def _vgg16(image_shape: int, num_classes: int, trunk: str) -> Network:
    _refuse_trunk("vgg-16", trunk)
    scales = vgg.scales(image_shape)
    maps = multibox.with_extra_layers(vgg.trunk(_pictures(image_shape)), scales)
    symbol, levels = multibox.heads(maps, scales, num_classes)
    return Network("vgg-16", image_shape, num_classes, symbol, levels, efficientnet.MEAN, efficientnet.DEVIATION, False)


def _resnet50(image_shape: int, num_classes: int, trunk: str) -> Network:
    kind = trunk or resnet.PRE_ACTIVATION
    if kind not in resnet.TRUNKS:
        raise InvalidInputError(f"resnet-50 has no trunk {kind!r}, only {', '.join(resnet.TRUNKS)}")
    maps = multibox.with_extra_layers(resnet.trunk(_pictures(image_shape), kind), resnet.SCALES)
    symbol, levels = multibox.heads(maps, resnet.SCALES, num_classes)
    mean, deviation = efficientnet.MEAN, efficientnet.DEVIATION
    return Network("resnet-50", image_shape, num_classes, symbol, levels, mean, deviation, False, kind)


def _pictures(image_shape: int) -> Map:
    return Map(mx.sym.Variable("data"), image_shape, 3)


def _refuse_trunk(base_network: str, trunk: str) -> None:
    if trunk:
        raise InvalidInputError(f"{base_network} has one trunk only, not {trunk!r}")


def _efficientnet_lite0(image_shape: int, num_classes: int, trunk: str) -> Network:
    _refuse_trunk("efficientnet-lite0", trunk)
    maps = efficientnet.trunk(_pictures(image_shape))
    pyramid = _pyramid([maps[8], maps[16], maps[32]], channels=64, smallest=3)
    symbol, levels = _heads(pyramid, num_classes, finest=3 * 8 / image_shape)
    return Network(
        "efficientnet-lite0", image_shape, num_classes, symbol, levels, efficientnet.MEAN, efficientnet.DEVIATION, True
    )


def _tiny(image_shape: int, num_classes: int, trunk: str) -> Network:
    _refuse_trunk("tiny", trunk)
    current = convolution_norm_relu(_pictures(image_shape), "stem", 16, 3, 2)
    maps = []
    for index, channels in enumerate((32, 64, 96, 128)):
        current = convolution_norm_relu(current, f"stage{index}_down", channels, 3, 2)
        current = convolution_norm_relu(current, f"stage{index}_conv", channels, 3)
        maps.append(current)
    pyramid = _pyramid(maps[1:], channels=48, smallest=2)
    symbol, levels = _heads(pyramid, num_classes, finest=2 * 8 / image_shape)
    return Network("tiny", image_shape, num_classes, symbol, levels, (127.5,) * 3, (63.75,) * 3, False)


_BUILDERS: dict[str, Callable[[int, int, str], Network]] = {
    "efficientnet-lite0": _efficientnet_lite0,
    "resnet-50": _resnet50,
    "tiny": _tiny,
    "vgg-16": _vgg16,
}


def _pyramid(maps: list[Map], channels: int, smallest: int) -> list[Map]:
    """Return maps of equal depth, fine to coarse.

    The given ones enriched from above, then further ones down to `smallest` cells.
    """
    merged = [convolution_norm_relu(maps[-1], f"lateral{len(maps) - 1}", channels, 1)]
    for index in range(len(maps) - 2, -1, -1):
        lateral = convolution_norm_relu(maps[index], f"lateral{index}", channels, 1)
        merged.insert(0, add_upsampled(lateral, merged[0], f"merge{index}"))
    result = [convolution_norm_relu(merge, f"pyramid{index}", channels, 3) for index, merge in enumerate(merged)]
    while result[-1].side > smallest:
        result.append(convolution_norm_relu(result[-1], f"pyramid{len(result)}", channels, 3, 2))
    return result


def _heads(pyramid: list[Map], num_classes: int, finest: float) -> tuple[mx.sym.Symbol, tuple[AnchorLevel, ...]]:
    """Return the graph's outputs and the anchors they belong to.

    `finest`: side of the finest map's small box, a fraction.
    """
    parameters = {
        "class": (mx.sym.Variable("class_head_weight"), mx.sym.Variable("class_head_bias"), num_classes + 1),
        "box": (mx.sym.Variable("box_head_weight"), mx.sym.Variable("box_head_bias"), 4),
    }
    levels: list[AnchorLevel] = []
    outputs: dict[str, list[mx.sym.Symbol]] = {"class": [], "box": []}
    for index, (source, sizes) in enumerate(zip(pyramid, doubling_sizes(finest, len(pyramid)), strict=True)):
        level = AnchorLevel(source.side, sizes, RATIOS)
        levels.append(level)
        for head, (weight, bias, width) in parameters.items():
            symbol = mx.sym.Convolution(
                source.symbol,
                weight=weight,
                bias=bias,
                num_filter=level.per_cell * width,
                kernel=(3, 3),
                pad=(1, 1),
                name=f"{head}_head{index}",
            )
            cells_last = mx.sym.transpose(symbol, axes=(0, 2, 3, 1), name=f"{head}_transpose{index}")
            outputs[head].append(mx.sym.reshape(cells_last, shape=(0, -1, width), name=f"{head}_reshape{index}"))
    logits = mx.sym.concat(*outputs["class"], dim=1, name="logits")
    offsets = mx.sym.concat(*outputs["box"], dim=1, name="offsets")
    return mx.sym.Group([logits, offsets]), tuple(levels)
