"""ResNet-50 and SSD's table for it.

Two trunks share the layers' names and shapes. That of MXNet's SSD example (`example/ssd/symbol/resnet.py`; He et al.,
"Identity Mappings in Deep Residual Networks", known as v2) normalises before each convolution and adds the sums as they
are; it is what the built-in algorithm's `resnet-50` is. The other (He et al., "Deep Residual Learning", v1, with the
stride on the 3x3 convolution as torchvision has it) normalises after each convolution; torchvision's weights fit no
other. Which one a model has goes with its weights.
"""

from detector.layers import Map, add, batch_norm, max_pool, padded_convolution, relu
from detector.multibox import FEW_RATIOS, MANY_RATIOS, Extra, NamedMap, Scale

PRE_ACTIVATION, POST_ACTIVATION = "pre-activation", "post-activation"
TRUNKS = (PRE_ACTIVATION, POST_ACTIVATION)

# (units, channels) of the stages: He et al., the 50 layers' column
STAGES = ((3, 256), (4, 512), (6, 1024), (3, 2048))
_SQUEEZE = 4  # a unit's inner convolutions have a quarter of its channels
_EPSILON = {PRE_ACTIVATION: 2e-5, POST_ACTIVATION: 1e-5}  # of batch normalisation: the example's, torchvision's

# The example's `symbol_factory.py`, network `resnet50`: the same six maps for every image_shape, no steps
SCALES = (
    Scale((0.1, 0.141), FEW_RATIOS),
    Scale((0.2, 0.272), MANY_RATIOS),
    Scale((0.37, 0.447), MANY_RATIOS, Extra(512, 2, 1)),
    Scale((0.54, 0.619), MANY_RATIOS, Extra(256, 2, 1)),
    Scale((0.71, 0.79), FEW_RATIOS, Extra(256, 2, 1)),
    Scale((0.88, 0.961), FEW_RATIOS, Extra(128, 2, 1)),
)


def trunk(data: Map, kind: str) -> tuple[NamedMap, NamedMap]:
    """Return the last maps of stage 3 (stride 16, 1,024 channels) and of stage 4 (stride 32, 2,048 channels)."""
    epsilon = _EPSILON[kind]
    current = batch_norm(data, "bn_data", epsilon, scaled=False) if kind == PRE_ACTIVATION else data
    current = padded_convolution(current, "conv0", 64, kernel=7, stride=2, padding=3, bias=False)
    current = max_pool(relu(batch_norm(current, "bn0", epsilon), "relu0"), "pool0", kernel=3, stride=2, padding=1)
    unit = _pre_activation_unit if kind == PRE_ACTIVATION else _post_activation_unit
    sums, count = [], 0
    for stage, (units, channels) in enumerate(STAGES, 1):
        for index in range(1, units + 1):
            stride = 2 if stage > 1 and index == 1 else 1
            current = unit(current, f"stage{stage}_unit{index}", f"_plus{count}", channels, stride, index == 1)
            count += 1
        sums.append(NamedMap(f"_plus{count - 1}", current))  # the example's names: its sums are numbered
    return sums[2], sums[3]


def _pre_activation_unit(source: Map, name: str, sum_name: str, channels: int, stride: int, projected: bool) -> Map:
    epsilon, inner = _EPSILON[PRE_ACTIVATION], channels // _SQUEEZE
    ready = relu(batch_norm(source, f"{name}_bn1", epsilon), f"{name}_relu1")
    current = padded_convolution(ready, f"{name}_conv1", inner, kernel=1, bias=False)
    current = relu(batch_norm(current, f"{name}_bn2", epsilon), f"{name}_relu2")
    current = padded_convolution(current, f"{name}_conv2", inner, kernel=3, stride=stride, padding=1, bias=False)
    current = relu(batch_norm(current, f"{name}_bn3", epsilon), f"{name}_relu3")
    current = padded_convolution(current, f"{name}_conv3", channels, kernel=1, bias=False)
    if projected:
        source = padded_convolution(ready, f"{name}_sc", channels, kernel=1, stride=stride, bias=False)
    return add(current, source, sum_name)


def _post_activation_unit(source: Map, name: str, sum_name: str, channels: int, stride: int, projected: bool) -> Map:
    epsilon, inner = _EPSILON[POST_ACTIVATION], channels // _SQUEEZE
    current = padded_convolution(source, f"{name}_conv1", inner, kernel=1, bias=False)
    current = relu(batch_norm(current, f"{name}_bn1", epsilon), f"{name}_relu1")
    current = padded_convolution(current, f"{name}_conv2", inner, kernel=3, stride=stride, padding=1, bias=False)
    current = relu(batch_norm(current, f"{name}_bn2", epsilon), f"{name}_relu2")
    current = padded_convolution(current, f"{name}_conv3", channels, kernel=1, bias=False)
    current = batch_norm(current, f"{name}_bn3", epsilon)
    if projected:
        source = padded_convolution(source, f"{name}_sc", channels, kernel=1, stride=stride, bias=False)
        source = batch_norm(source, f"{name}_sc_bn", epsilon)
    return relu(add(current, source, sum_name), f"{name}_relu")
