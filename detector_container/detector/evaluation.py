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


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of some pictures' answers: by class id, the true boxes' number, and each answer's score and hit."""

    truths: dict[int, int]
    answers: dict[int, list[tuple[float, bool]]]

    def with_others(self, others: Sequence["Outcomes"]) -> "Outcomes":
        """Return these and those of other pictures."""
        truths, answers = dict(self.truths), {class_id: list(rows) for class_id, rows in self.answers.items()}
        for other in others:
            for class_id, count in other.truths.items():
                truths[class_id] = truths.get(class_id, 0) + count
            for class_id, rows in other.answers.items():
                answers.setdefault(class_id, []).extend(rows)
        return Outcomes(truths, answers)

    def json(self) -> list[Any]:
        """Return them in JSON's types, for another host."""
        return [list(self.truths.items()), [[class_id, rows] for class_id, rows in self.answers.items()]]

    @classmethod
    def from_json(cls, document: list[Any]) -> "Outcomes":
        truths, answers = document
        return cls(dict(truths), {class_id: [(score, hit) for score, hit in rows] for class_id, rows in answers})

    @property
    def boxes(self) -> int:
        """The number of true boxes."""
        return sum(self.truths.values())

    def score(self) -> Score:
        """Return the precision of the answers, ranked by their scores."""
        by_class, by_class_11 = {}, {}
        for class_id, total in sorted(self.truths.items()):
            rows = self.answers.get(class_id, [])
            order = np.argsort(-np.array([score for score, _ in rows]), kind="stable")
            recall, precision = _curve(np.array([hit for _, hit in rows], bool)[order], total)
            by_class[class_id] = average_precision(recall, precision)
            by_class_11[class_id] = average_precision_11_points(recall, precision)
        if not by_class:
            return Score({}, 0.0, 0.0)
        return Score(by_class, float(np.mean(list(by_class.values()))), float(np.mean(list(by_class_11.values()))))


def outcomes(truths: Sequence[Floats], answers: Sequence[Floats], threshold: float) -> Outcomes:
    """Return which answers (rows of class id, score, box) hit truths (rows of class id, box), picture by picture."""
    result = Outcomes({}, {})
    for truth, answer in zip(truths, answers, strict=True):
        ids = {int(row[0]) for row in truth} | {int(row[0]) for row in answer}
        for class_id in sorted(ids):
            boxes = truth[truth[:, 0] == class_id, 1:]
            rows = answer[answer[:, 0] == class_id] if len(answer) else np.zeros((0, 6))
            rows = rows[np.argsort(-rows[:, 1], kind="stable")]
            if len(boxes):
                result.truths[class_id] = result.truths.get(class_id, 0) + len(boxes)
            hits = _hits(rows[:, 2:], boxes, threshold)
            result.answers.setdefault(class_id, []).extend(zip(map(float, rows[:, 1]), hits, strict=True))
    return result


def mean_average_precision(truths: Sequence[Floats], answers: Sequence[Floats], threshold: float) -> Score:
    """Score answers (rows of class id, score, box) against truths (rows of class id, box), picture by picture."""
    return outcomes(truths, answers, threshold).score()


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
