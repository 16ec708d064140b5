"""SSD's loss and its gradients, in numpy: softmax with hard negative mining, smooth L1 on the matched anchors.

Kept out of the graph: the mining needs the forward pass's result, and here every number can be checked by hand.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

NEGATIVES_PER_POSITIVE = 3
_NEGATIVES_OF_EMPTY_PICTURE = 16  # a crop without an object still has something to teach


@dataclass(frozen=True, slots=True)
class Loss:
    """Both losses per matched anchor of the batch (of one, where none is), and the gradients of their sum."""

    matched: int
    cross_entropy: float
    smooth_l1: float
    logits_gradient: Floats  # (B, N, classes + 1)
    offsets_gradient: Floats  # (B, N, 4)


def detection_loss(logits: Floats, offsets: Floats, classes: Integers, target_offsets: Floats) -> Loss:
    """Return the loss of a batch.

    Logits (B, N, K), offsets (B, N, 4) against classes (B, N; 0 = background) and target offsets.
    """
    log_probabilities = _log_softmax(logits)
    positive = classes > 0
    matched = int(positive.sum())
    count = max(matched, 1)
    own = np.take_along_axis(log_probabilities, classes[..., None], axis=-1)[..., 0]
    chosen = positive | hard_negatives(-own, positive)

    logits_gradient = np.exp(log_probabilities)
    np.put_along_axis(
        logits_gradient, classes[..., None], np.take_along_axis(logits_gradient, classes[..., None], -1) - 1, -1
    )
    logits_gradient *= chosen[..., None] / count

    difference = np.where(positive[..., None], offsets - target_offsets, 0)
    size = np.abs(difference)
    smooth = np.where(size < 1, 0.5 * difference**2, size - 0.5)
    return Loss(
        matched,
        float(-own[chosen].sum() / count),
        float(smooth.sum() / count),
        logits_gradient.astype(np.float32),
        (np.clip(difference, -1, 1) / count).astype(np.float32),
    )


def hard_negatives(losses: Floats, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which background anchors (B, N) to learn from.

    In each picture those of greatest loss, three for each matched one.
    """
    candidates = np.where(positive, -np.inf, losses)
    chosen = np.zeros_like(positive)
    for row, (values, matched) in enumerate(zip(candidates, positive.sum(axis=1), strict=True)):
        wanted = NEGATIVES_PER_POSITIVE * int(matched) or _NEGATIVES_OF_EMPTY_PICTURE
        wanted = min(wanted, len(values) - int(matched))
        if wanted > 0:
            chosen[row, np.argpartition(-values, wanted - 1)[:wanted]] = True
    return chosen


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
