"""Mean average precision at one overlap threshold, as the Pascal VOC challenge defines a hit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.boxes import overlaps

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Score:
    """Average precision by class id (classes that have a true box), and its mean, in both customary forms."""

    by_class: dict[int, float]
    mean: float  # area under the precision envelope over all points (VOC since 2010)
    mean_11_points: float  # VOC 2007


def mean_average_precision(truths: Sequence[Floats], answers: Sequence[Floats], threshold: float) -> Score:
    """Score answers (rows of class id, score, box) against truths (rows of class id, box), picture by picture."""
    by_class, by_class_11 = {}, {}
    for class_id in sorted({int(row[0]) for truth in truths for row in truth}):
        scores: list[float] = []
        hits: list[bool] = []
        total = 0
        for truth, answer in zip(truths, answers, strict=True):
            boxes = truth[truth[:, 0] == class_id, 1:]
            rows = answer[answer[:, 0] == class_id] if len(answer) else np.zeros((0, 6))
            rows = rows[np.argsort(-rows[:, 1], kind="stable")]
            total += len(boxes)
            scores.extend(rows[:, 1])
            hits.extend(_hits(rows[:, 2:], boxes, threshold))
        order = np.argsort(-np.array(scores), kind="stable")
        recall, precision = _curve(np.array(hits, bool)[order], total)
        by_class[class_id] = average_precision(recall, precision)
        by_class_11[class_id] = average_precision_11_points(recall, precision)
    if not by_class:
        return Score({}, 0.0, 0.0)
    return Score(by_class, float(np.mean(list(by_class.values()))), float(np.mean(list(by_class_11.values()))))


def _hits(boxes: Floats, truths: Floats, threshold: float) -> list[bool]:
    """Return for each box (best first) whether it finds a true box that none before it has found."""
    if len(truths) == 0 or len(boxes) == 0:
        return [False] * len(boxes)
    shared = overlaps(boxes, truths)
    found = np.zeros(len(truths), bool)
    hits = []
    for row in shared:
        best = int(row.argmax())
        hits.append(bool(row[best] >= threshold and not found[best]))
        found[best] |= hits[-1]
    return hits


def _curve(hits: npt.NDArray[np.bool_], total: int) -> tuple[Floats, Floats]:
    right = np.cumsum(hits)
    return right / max(total, 1), right / np.arange(1, len(hits) + 1)


def average_precision(recall: Floats, precision: Floats) -> float:
    """Return the area under the precision envelope."""
    envelope = np.maximum.accumulate(np.concatenate([precision, [0.0]])[::-1])[::-1][: len(precision)]
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * envelope))


def average_precision_11_points(recall: Floats, precision: Floats) -> float:
    """Return the mean over recall 0, .1 … 1 of the best precision at that recall or beyond."""
    return float(np.mean([precision[recall >= point - 1e-9].max(initial=0) for point in np.linspace(0, 1, 11)]))
