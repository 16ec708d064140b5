"""Default boxes ("anchors"): the grid of reference boxes that a prediction is an offset from.

Order and geometry are those of MXNet's MultiBoxPrior on a square input, so that a graph with that operator and this
module agree: levels from fine to coarse, cells row by row, and in each cell the sizes at the first ratio, then the
first size at the other ratios.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


LARGEST = 0.8  # side of the largest default box


@dataclass(frozen=True, slots=True)
class AnchorLevel:
    """The anchors of one feature map.

    Its side in cells, box sizes as fractions of the picture's side, ratios width / height. `step` is the distance of
    neighbouring cells' centres as a fraction; None: the cells share the picture evenly.
    """

    side: int
    sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    step: float | None = None

    @property
    def per_cell(self) -> int:
        return len(self.sizes) + len(self.ratios) - 1


def anchor_boxes(levels: Sequence[AnchorLevel]) -> Array:
    """Return all anchors, shape (N, 4): xmin, ymin, xmax, ymax as fractions; they may reach beyond the picture."""
    return np.concatenate([_level_boxes(level) for level in levels])


def _level_boxes(level: AnchorLevel) -> Array:
    shapes = [(size, level.ratios[0]) for size in level.sizes] + [(level.sizes[0], ratio) for ratio in level.ratios[1:]]
    half = (
        np.array([(size * ratio**0.5, size / ratio**0.5) for size, ratio in shapes]) / 2
    )  # (A, 2): half width, half height
    centres = (np.arange(level.side) + 0.5) * (level.step or 1 / level.side)
    y, x = np.meshgrid(centres, centres, indexing="ij")
    centre = np.stack([x, y], axis=-1)[:, :, None, :]  # (side, side, 1, 2)
    return np.concatenate([centre - half, centre + half], axis=-1).reshape(-1, 4).astype(np.float32)


def doubling_sizes(finest: float, count: int) -> list[tuple[float, float]]:
    """Return two box sizes for each of `count` maps, each map's twice those of the finer one, up to `LARGEST`."""
    small = [min(finest * 2**index, LARGEST) for index in range(count)]
    return [(size, min(size * 2**0.5, 0.97)) for size in small]


def with_shapes_of(levels: Sequence[AnchorLevel], known: Sequence[AnchorLevel]) -> tuple[AnchorLevel, ...]:
    """Return the levels with the sizes and ratios of as many known ones; unchanged where nothing is known."""
    if not known:
        return tuple(levels)
    return tuple(replace(level, sizes=one.sizes, ratios=one.ratios) for level, one in zip(levels, known, strict=True))
