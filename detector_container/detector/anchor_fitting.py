"""Default boxes that fit the boxes to be learnt: how small the finest map's are, and how wide against their height.

For the networks whose maps share their heads (networks.py). The sizes go on doubling from map to map, as shared weights
need; the number of default boxes stays, so that the network's graph does too. Every class counts alike, however many
boxes it has: the mean average precision does not know rare ones either.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.anchors import AnchorLevel, doubling_sizes

Floats = npt.NDArray[np.floating[Any]]

_SMALL = 0.1  # the quantile of a class's sizes that stands for its small boxes
_NARROW, _WIDE = 0.1, 0.9  # quantiles of width / height
_LEAST_SPREAD = 1.4  # between neighbouring ratios: training crops change them by more
_LARGEST_RATIO = 6.0
_LEAST_CELLS = 2  # sides of the finest map's cells; smaller default boxes would leave gaps between the cells


def fitted_levels(levels: Sequence[AnchorLevel], labels: Sequence[Floats]) -> tuple[AnchorLevel, ...]:
    """Return the levels with sizes and ratios for these labels (rows of class id, xmin, ymin, xmax, ymax; fractions).

    The finest map's small box becomes as small as the small ones of the class with the smallest, but spans two cells at
    least and the standard at most. Ratios: the classes' median, and one to each side. The standard ones if no box has
    an area.
    """
    rows = np.concatenate([of_picture.astype(np.float64).reshape(-1, 5) for of_picture in labels])
    width, height = (rows[:, 3:] - rows[:, 1:3]).T
    usable = (width > 0) & (height > 0)
    if not usable.any():
        return tuple(levels)
    classes, width, height = rows[usable, 0], width[usable], height[usable]
    sizes = np.sqrt(width * height)
    smallest = min(float(np.quantile(sizes[classes == one], _SMALL)) for one in np.unique(classes))
    standard = levels[0].sizes[0]
    finest = min(max(smallest, _LEAST_CELLS / levels[0].side), standard)
    ratios = _ratios(width / height, classes)
    return tuple(
        replace(level, sizes=pair, ratios=ratios)
        for level, pair in zip(levels, doubling_sizes(finest, len(levels)), strict=True)
    )


def _ratios(ratios: Floats, classes: Floats) -> tuple[float, ...]:
    _, place, counts = np.unique(classes, return_inverse=True, return_counts=True)
    order = np.argsort(ratios, kind="stable")
    share = np.cumsum((1 / counts[place])[order]) / len(counts)
    narrow, middle, wide = (ratios[order][np.searchsorted(share, quantile)] for quantile in (_NARROW, 0.5, _WIDE))
    middle = float(np.clip(middle, _LEAST_SPREAD / _LARGEST_RATIO, _LARGEST_RATIO / _LEAST_SPREAD))
    wide = min(max(float(wide), middle * _LEAST_SPREAD), _LARGEST_RATIO)
    narrow = max(min(float(narrow), middle / _LEAST_SPREAD), 1 / _LARGEST_RATIO)
    return middle, wide, narrow
