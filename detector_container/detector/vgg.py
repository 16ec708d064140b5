"""VGG-16 with fully convolutional, dilated fc6 and fc7 ("reduced"), and SSD's tables for it.

The trunk is that of the SSD paper (Liu et al., 2016), layers and names after MXNet's SSD example
(`example/ssd/symbol/vgg16_reduced.py`), so that published patterns such as `^(conv1_|conv2_).*` freeze what they say.
The tables are that example's (`symbol_factory.py`, network `vgg16_reduced`).
"""

from detector.layers import Map, l2_normalised, max_pool, padded_convolution, relu
from detector.multibox import FEW_RATIOS, MANY_RATIOS, Extra, NamedMap, Scale

# (convolutions, channels) of the groups conv1_* to conv5_*: Simonyan and Zisserman (2014), configuration D
GROUPS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
CONV4_3_SCALE = 20.0  # the learnt scale of the normalised conv4_3 begins here: SSD paper, section 3.1

_SEVEN_MAPS_FROM = 448  # image_shape at which the example changes to SSD512's table

_SSD300 = (
    Scale((0.1, 0.141), FEW_RATIOS),
    Scale((0.2, 0.272), MANY_RATIOS),
    Scale((0.37, 0.447), MANY_RATIOS, Extra(512, 2, 1)),
    Scale((0.54, 0.619), MANY_RATIOS, Extra(256, 2, 1)),
    Scale((0.71, 0.79), FEW_RATIOS, Extra(256, 1, 0)),
    Scale((0.88, 0.961), FEW_RATIOS, Extra(256, 1, 0)),
)
_STEPS_300 = (8, 16, 32, 64, 100, 300)  # pixels between neighbouring cells' centres, at 300 alone

# The example's steps at 512 are its cells' own but for the last map, where they put most of its anchors outside of the
# picture: here its cells share the picture like the others'.
_SSD512 = (
    Scale((0.07, 0.1025), FEW_RATIOS),
    Scale((0.15, 0.2121), MANY_RATIOS),
    Scale((0.3, 0.3674), MANY_RATIOS, Extra(512, 2, 1)),
    Scale((0.45, 0.5196), MANY_RATIOS, Extra(256, 2, 1)),
    Scale((0.6, 0.6708), MANY_RATIOS, Extra(256, 2, 1)),
    Scale((0.75, 0.8216), FEW_RATIOS, Extra(256, 2, 1)),
    Scale((0.9, 0.9721), FEW_RATIOS, Extra(256, 1, 1)),
)


def scales(image_shape: int) -> tuple[Scale, ...]:
    """Return the maps to predict on: six below an `image_shape` of 448, seven from there on."""
    if image_shape >= _SEVEN_MAPS_FROM:
        return _SSD512
    if image_shape == 300:
        return tuple(
            Scale(scale.sizes, scale.ratios, scale.extra, step / 300)
            for scale, step in zip(_SSD300, _STEPS_300, strict=True)
        )
    return _SSD300


def trunk(data: Map) -> tuple[NamedMap, NamedMap]:
    """Return conv4_3, normalised and scaled (stride 8, 512 channels), and fc7 (stride 16, 1,024 channels)."""
    current, fine = data, data
    for group, (repeats, channels) in enumerate(GROUPS, 1):
        for repeat in range(1, repeats + 1):
            name = f"{group}_{repeat}"
            current = relu(padded_convolution(current, f"conv{name}", channels, kernel=3, padding=1), f"relu{name}")
        if group == 4:
            fine = current
        if group < 5:
            current = max_pool(current, f"pool{group}", kernel=2, stride=2, cover=group == 3)
    current = max_pool(current, "pool5", kernel=3, stride=1, padding=1)
    current = relu(padded_convolution(current, "fc6", 1024, kernel=3, padding=6, dilation=6), "relu6")
    current = relu(padded_convolution(current, "fc7", 1024, kernel=1), "relu7")
    return NamedMap("relu4_3", l2_normalised(fine, "relu4_3")), NamedMap("relu7", current)
