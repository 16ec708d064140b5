"""From the network's raw answer to rows of class, score and box: decoding and non-maximum suppression, vectorised.

The rules are those of MXNet's MultiBoxDetection: each anchor answers with its best class alone, boxes are clipped to
the picture, the `topk` best go on, and a box yields to a better one of the same class that overlaps it by the threshold
or more.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import areas
from detector.targets import decode

Floats = npt.NDArray[np.floating[Any]]

_NO_AREA = 1e-30  # stands for a union of nothing, whose common area is nothing as well
SCORE_FLOOR = np.float32(0.01)  # MultiBoxDetection's own: what reaches it is kept


def detections(probabilities: Floats, offsets: Floats, anchors: Floats, nms_threshold: float, topk: int) -> Floats:
    """Return rows (M, 6), best first: class id, score, xmin, ymin, xmax, ymax (fractions).

    `probabilities` (N, classes + 1) with the background first, `offsets` (N, 4) and `anchors` (N, 4) are one picture's.
    """
    classes = probabilities[:, 1:].argmax(axis=1)
    scores = probabilities[np.arange(len(classes)), classes + 1]
    candidates = np.flatnonzero(scores >= SCORE_FLOOR)
    order = candidates[np.argsort(-scores[candidates], kind="stable")][:topk]
    boxes = np.clip(decode(anchors[order], offsets[order]), 0, 1)
    kept = suppress(boxes, classes[order], nms_threshold)
    rows = np.concatenate([classes[order, None], scores[order, None], boxes], axis=1)
    result: Floats = rows[kept]
    return result


def suppress(boxes: Floats, classes: npt.NDArray[np.integer[Any]], threshold: float) -> npt.NDArray[np.int64]:
    """Return the places of the boxes (N, 4), best first, that no better kept one of their class overlaps too much.

    Too much is by the threshold or more. The greedy rule ("go down the list, strike what the kept ones overlap") as a
    fixed point on the matrix of rivals: every round settles at least one further box, and most of them in the first.
    """
    beaten_by = _rivals(boxes, classes, threshold)
    kept: npt.NDArray[np.bool_] = np.ones(len(boxes), np.bool_)
    while True:
        still = np.logical_not(beaten_by[kept].any(axis=0))
        if np.array_equal(still, kept):
            return np.flatnonzero(kept)
        kept = still


def _rivals(boxes: Floats, classes: npt.NDArray[np.integer[Any]], threshold: float) -> npt.NDArray[np.bool_]:
    """Return whether box i comes before box j and excludes it, (N, N).

    The overlap is divided as MXNet divides it: one that is just the threshold must not depend on how it is rounded.
    Boxes without an area exclude none.
    """
    xmin, ymin, xmax, ymax = np.ascontiguousarray(boxes.T)
    common = np.minimum(xmax[:, None], xmax) - np.maximum(xmin[:, None], xmin)
    height = np.minimum(ymax[:, None], ymax) - np.maximum(ymin[:, None], ymin)
    np.maximum(common, 0, out=common)
    common *= np.maximum(height, 0, out=height)
    area = areas(boxes)
    union = area[:, None] + area
    union -= common
    common /= np.maximum(union, _NO_AREA, out=union)
    rivals: npt.NDArray[np.bool_] = np.triu(common >= threshold, 1)
    rivals &= classes[:, None] == classes
    return rivals
