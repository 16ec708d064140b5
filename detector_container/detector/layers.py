"""The layers the networks are made of, as MXNet symbols.

Parameters are named `<layer>_weight`, `<layer>_bias` and so on.

Padding is either TensorFlow's SAME (output = ceil(input / stride), the odd pixel at the end), which is what the
published EfficientNet weights were trained with, or stated and alike at both ends, as in VGG and ResNet
(`padded_convolution`, `max_pool`). Both need the input's side, so each function takes and keeps track of it in `Map`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mxnet as mx

BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Map:
    """A square feature map: its symbol, side in cells and channels."""

    symbol: mx.sym.Symbol
    side: int
    channels: int


def convolution(
    source: Map, name: str, channels: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = True
) -> Map:
    """Return a convolution with SAME padding."""
    side = -(-source.side // stride)
    padding = max((side - 1) * stride + kernel - source.side, 0)
    before, data = padding // 2, source.symbol
    if padding % 2:  # MXNet's convolution pads both ends alike
        data = mx.sym.pad(
            data,
            mode="constant",
            constant_value=0,
            pad_width=(0, 0, 0, 0, before, before + 1, before, before + 1),
            name=f"{name}_pad",
        )
        before = 0
    symbol = mx.sym.Convolution(
        data,
        num_filter=channels,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(before, before),
        num_group=groups,
        no_bias=not bias,
        name=name,
    )
    return Map(symbol, side, channels)


def padded_convolution(
    source: Map,
    name: str,
    channels: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    bias: bool = True,
) -> Map:
    """Return a convolution with `padding` zeros at each end; `dilation` is the distance of its taps in cells."""
    symbol = mx.sym.Convolution(
        source.symbol,
        num_filter=channels,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(padding, padding),
        dilate=(dilation, dilation),
        no_bias=not bias,
        name=name,
    )
    reach = dilation * (kernel - 1) + 1
    return Map(symbol, (source.side + 2 * padding - reach) // stride + 1, channels)


def max_pool(source: Map, name: str, kernel: int, stride: int, padding: int = 0, cover: bool = False) -> Map:
    """Return the maxima of windows; `cover` adds a last window that reaches beyond the map rather than lose its edge.

    `cover` is MXNet's pooling_convention "full", Caffe's only one.
    """
    symbol = mx.sym.Pooling(
        source.symbol,
        pool_type="max",
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(padding, padding),
        pooling_convention="full" if cover else "valid",
        name=name,
    )
    beyond_first = source.side + 2 * padding - kernel
    steps = -(-beyond_first // stride) if cover else beyond_first // stride
    return Map(symbol, steps + 1, source.channels)


def batch_norm(source: Map, name: str, epsilon: float, scaled: bool = True) -> Map:
    """Return batch normalisation; where not `scaled`, only its shift is learnt."""
    symbol = mx.sym.BatchNorm(source.symbol, eps=epsilon, momentum=0.9, fix_gamma=not scaled, name=name)
    return Map(symbol, source.side, source.channels)


def add(one: Map, other: Map, name: str) -> Map:
    """Return the sum of two maps of one shape."""
    return Map(mx.sym.elemwise_add(one.symbol, other.symbol, name=name), one.side, one.channels)


def l2_normalised(source: Map, name: str) -> Map:
    """Return the map with each cell's channels brought to length 1, times a learnt scale by channel, `<name>_scale`.

    After ParseNet (Liu et al., 2015): a fine map's features are of another magnitude than the coarser ones'.
    """
    unit = mx.sym.L2Normalization(source.symbol, mode="channel", name=f"{name}_norm")
    scale = mx.sym.Variable(f"{name}_scale", shape=(1, source.channels, 1, 1))
    return Map(mx.sym.broadcast_mul(scale, unit, name=f"{name}_scaled"), source.side, source.channels)


def relu(source: Map, name: str) -> Map:
    """Return the rectified map."""
    return Map(mx.sym.Activation(source.symbol, act_type="relu", name=name), source.side, source.channels)


def relu6(source: Map, name: str) -> Map:
    """Return the activation of the EfficientNet-Lite family.

    Fused in inference; in training MXNet has no fast kernel for it.
    """
    return Map(mx.sym.clip(source.symbol, a_min=0, a_max=6, name=name), source.side, source.channels)


def convolution_norm_relu(source: Map, name: str, channels: int, kernel: int, stride: int = 1) -> Map:
    """Return convolution, batch normalisation and ReLU: the layer of everything that is trained from scratch."""
    plain = convolution(source, name, channels, kernel, stride, bias=False)
    symbol = mx.sym.BatchNorm(plain.symbol, eps=BATCH_NORM_EPSILON, momentum=0.9, fix_gamma=False, name=f"{name}_norm")
    return relu(Map(symbol, plain.side, channels), f"{name}_relu")


def widened(source: Map, name: str, expansion: int, activation: Callable[[Map, str], Map]) -> Map:
    """Return what the inverted residual block of that name widens its source to; the source where it doesn't."""
    if expansion == 1:
        return source
    return activation(convolution(source, f"{name}_expand", source.channels * expansion, 1), f"{name}_expand_relu")


def inverted_residual(
    source: Map,
    wide: Map,
    name: str,
    channels: int,
    kernel: int,
    stride: int,
    activation: Callable[[Map, str], Map],
) -> Map:
    """Return a block of the EfficientNet-Lite family, batch normalisation folded into its convolutions.

    `wide` is the source widened.
    """
    inner = convolution(wide, f"{name}_depthwise", wide.channels, kernel, stride, groups=wide.channels)
    inner = convolution(activation(inner, f"{name}_depthwise_relu"), f"{name}_project", channels, 1)
    if stride == 1 and source.channels == channels:
        inner = Map(mx.sym.elemwise_add(inner.symbol, source.symbol, name=f"{name}_add"), inner.side, channels)
    return inner


def add_upsampled(fine: Map, coarse: Map, name: str) -> Map:
    """Return `fine` plus `coarse` at twice its side, cut to fit."""
    upsampled = mx.sym.UpSampling(coarse.symbol, scale=2, sample_type="nearest", name=f"{name}_upsample")
    if coarse.side * 2 != fine.side:
        upsampled = mx.sym.slice_axis(upsampled, axis=2, begin=0, end=fine.side, name=f"{name}_rows")
        upsampled = mx.sym.slice_axis(upsampled, axis=3, begin=0, end=fine.side, name=f"{name}_columns")
    return Map(mx.sym.elemwise_add(fine.symbol, upsampled, name=f"{name}_add"), fine.side, fine.channels)
