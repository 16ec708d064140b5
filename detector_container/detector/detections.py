"""From the network's raw answer to rows of class, score and box: decoding and non-maximum suppression, vectorised.

The rules are those of MXNet's MultiBoxDetection: each anchor answers with its best class alone, boxes are clipped to
the picture, the `topk` best go on, and a box yields to a better one of the same class that overlaps it by more than the
threshold.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import overlaps
from detector.targets import decode

Floats = npt.NDArray[np.floating[Any]]

SCORE_FLOOR = 0.01  # MultiBoxDetection's own


def detections(probabilities: Floats, offsets: Floats, anchors: Floats, nms_threshold: float, topk: int) -> Floats:
    """Return rows (M, 6), best first: class id, score, xmin, ymin, xmax, ymax (fractions).

    `probabilities` (N, classes + 1) with the background first, `offsets` (N, 4) and `anchors` (N, 4) are one picture's.
    """
    classes = probabilities[:, 1:].argmax(axis=1)
    scores = probabilities[np.arange(len(classes)), classes + 1]
    candidates = np.flatnonzero(scores > SCORE_FLOOR)
    order = candidates[np.argsort(-scores[candidates], kind="stable")][:topk]
    boxes = np.clip(decode(anchors[order], offsets[order]), 0, 1)
    kept = suppress(boxes, classes[order], nms_threshold)
    rows = np.concatenate([classes[order, None], scores[order, None], boxes], axis=1)
    result: Floats = rows[kept]
    return result


def suppress(boxes: Floats, classes: npt.NDArray[np.integer[Any]], threshold: float) -> npt.NDArray[np.int64]:
    """Return the places of the boxes (N, 4.

    Best first) that no better one of their class overlaps by more than the threshold.
    """
    rivals = (overlaps(boxes, boxes) > threshold) & (classes[:, None] == classes[None, :])
    alive = np.ones(len(boxes), bool)
    kept = []
    for place in range(len(boxes)):
        if alive[place]:
            kept.append(place)
            alive[place:] &= ~rivals[place, place:]
    return np.array(kept, dtype=np.int64)
