"""What each anchor should have answered: matching to the true boxes, and boxes as offsets from their anchors.

The rules and variances are SSD's (Liu et al., 2016) as MXNet's MultiBoxTarget has them: every true box takes its best
anchor, one by one from the best pair down, then every other anchor takes the box it overlaps most, if by more than
`OVERLAP`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import overlaps

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

VARIANCES = (0.1, 0.1, 0.2, 0.2)
OVERLAP = 0.5


def match(anchors: Floats, boxes: Floats, threshold: float = OVERLAP) -> Integers:
    """Return for each anchor (N, 4) the index of its true box (M, 4), or -1 for background."""
    matches = np.full(len(anchors), -1, dtype=np.int64)
    if len(boxes) == 0:
        return matches
    shared = overlaps(anchors, boxes)
    best = shared.argmax(axis=1)
    good = shared[np.arange(len(anchors)), best] > threshold
    matches[good] = best[good]
    remaining = shared.copy()
    for _ in range(min(len(boxes), len(anchors))):
        anchor, box = np.unravel_index(remaining.argmax(), remaining.shape)
        if remaining[anchor, box] <= 0:
            break
        matches[anchor] = box
        remaining[anchor, :] = -1
        remaining[:, box] = -1
    return matches


def encode(anchors: Floats, boxes: Floats) -> Floats:
    """Return the offsets (N, 4) that lead from each anchor to its box.

    Centre shifts and log side ratios, over the variances.
    """
    anchors, boxes = anchors.astype(np.float64), boxes.astype(np.float64)  # corners nearly cancel each other out
    anchor_sides = anchors[:, 2:] - anchors[:, :2]
    box_sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / anchor_sides
    offsets: Floats = np.concatenate([shift, np.log(box_sides / anchor_sides)], axis=1) / np.asarray(VARIANCES)
    return offsets


def decode(anchors: Floats, offsets: Floats) -> Floats:
    """Return the boxes (N, 4) that the offsets lead to: the inverse of `encode`, not clipped."""
    scaled = offsets * np.asarray(VARIANCES, dtype=offsets.dtype)
    sides = anchors[:, 2:] - anchors[:, :2]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2 + scaled[:, :2] * sides
    half = np.exp(np.minimum(scaled[:, 2:], 10.0)) * sides / 2  # exp(10) is any picture's side many times over
    return np.concatenate([centres - half, centres + half], axis=1)


def picture_targets(anchors: Floats, labels: Floats) -> tuple[Integers, Floats]:
    """Return what the anchors (N, 4) should answer to labels (M, 5; class id, box).

    Classes (N; 0 = background, class id + 1 otherwise) and offsets (N, 4).
    """
    matches = match(anchors, labels[:, 1:])
    classes = np.zeros(len(anchors), dtype=np.int64)
    offsets = np.zeros((len(anchors), 4), dtype=np.float32)
    positive = matches >= 0
    matched = labels[matches[positive]]
    classes[positive] = matched[:, 0].astype(np.int64) + 1
    offsets[positive] = encode(anchors[positive], matched[:, 1:])
    return classes, offsets
