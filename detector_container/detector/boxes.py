"""Geometry of boxes given as xmin, ymin, xmax, ymax in the last axis."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def areas(boxes: Floats) -> Floats:
    """Return the areas; a box turned inside out has none."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    product: Floats = sides[..., 0] * sides[..., 1]
    return product


def intersections(left: Floats, right: Floats) -> Floats:
    """Return the common areas of every box of `left` (N, 4) with every one of `right` (M, 4), shape (N, M)."""
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    sides = np.maximum(high - low, 0)
    product: Floats = sides[..., 0] * sides[..., 1]
    return product


def overlaps(left: Floats, right: Floats) -> Floats:
    """Return intersection over union of every box of `left` (N, 4) with every one of `right` (M, 4), shape (N, M)."""
    common = intersections(left, right)
    union = areas(left)[:, None] + areas(right)[None, :] - common
    ratios: Floats = common / np.maximum(union, 1e-12)
    return ratios
