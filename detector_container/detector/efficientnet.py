"""EfficientNet-Lite0's trunk (Tan and Le.

The Lite variant has no squeeze-excite and ReLU6 throughout), after the published layout.
"""

import mxnet as mx

from detector.layers import Map, convolution, inverted_residual, relu, relu6, widened

# (repeats, kernel, stride of the first, expansion, output channels)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

_FIRST_WITH_RELU = 5

# ImageNet's channel statistics, on 0..255: what the published weights expect.
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)


def trunk(data: Map) -> dict[int, Map]:
    """Return the last map of each stride: 8 (240 channels), 16 (672 channels) and 32 (320 channels) among them.

    But for the coarsest that is what the block which halves the map's sides widens it to, as SSDLite takes it.
    """
    current = relu6(convolution(data, "stem", 32, 3, 2), "stem_relu")
    by_stride = {}
    stride, block = 2, 0
    for repeats, kernel, first_stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            activation = relu6 if block < _FIRST_WITH_RELU else relu
            name, step = f"block{block}", first_stride if repeat == 0 else 1
            wide = widened(current, name, expansion, activation)
            if step == 2:
                by_stride[stride] = wide
            current = inverted_residual(current, wide, name, channels, kernel, step, activation)
            stride *= step
            block += 1
    return by_stride | {stride: current}


def classifier(data: Map) -> mx.sym.Symbol:
    """Return the probabilities of the 1,000 ImageNet classes: proves that converted weights are what they claim."""
    top = relu6(convolution(trunk(data)[32], "top", 1280, 1), "top_relu")
    pooled = mx.sym.Flatten(mx.sym.Pooling(top.symbol, global_pool=True, pool_type="avg", kernel=(1, 1)))
    return mx.sym.softmax(mx.sym.FullyConnected(pooled, num_hidden=1000, name="classifier"))
