"""Detections held against the truth, class by class: what is right, and the precision at each recall.

A detection is right where it overlaps a box of its class that no better-scored detection has taken, with an
intersection over union of at least 0.5: the rule of the PASCAL VOC development kits. Boxes marked difficult count
neither for nor against. Boxes are in pixels, origin top left. COCO's measures, whose rule differs, are in
`coco_scoring`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

OVERLAP = 0.5
CURVE_POINTS = 101  # recalls at which a curve is written down: 0, 0.01 … 1, as COCO has them


class Box(NamedTuple):
    """A true box. A tuple, as detections are: one evaluation makes hundreds of thousands of them."""

    class_id: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False

    @property
    def area(self) -> float:
        return (self.xmax - self.xmin) * (self.ymax - self.ymin)


class Detection(NamedTuple):
    """A detected box and its score."""

    score: float
    class_id: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def area(self) -> float:
        return (self.xmax - self.xmin) * (self.ymax - self.ymin)


@dataclass(frozen=True, slots=True)
class Scene:
    """What one picture holds of one class; detections best first, equal scores in the order in which they came."""

    boxes: tuple[Box, ...]
    detections: tuple[Detection, ...]


def scenes_by_class(
    truth: Mapping[str, Sequence[Box]], detections: Mapping[str, Sequence[Detection]]
) -> dict[int, list[Scene]]:
    """Return each class's scenes in the order of the truth's pictures; what is found elsewhere doesn't count."""
    scenes = defaultdict[int, list[Scene]](list)
    for picture, true_boxes in truth.items():
        boxes, found = defaultdict[int, list[Box]](list), defaultdict[int, list[Detection]](list)
        for box in true_boxes:
            boxes[box.class_id].append(box)
        for detection in detections.get(picture, ()):
            found[detection.class_id].append(detection)
        for class_id in boxes.keys() | found.keys():
            ranked = tuple(sorted(found[class_id], key=_score, reverse=True))
            scenes[class_id].append(Scene(tuple(boxes[class_id]), ranked))
    return scenes


def _score(detection: Detection) -> float:
    return detection.score


def shared_area(one: Box | Detection, other: Box | Detection) -> float:
    """Return the area of the intersection."""
    width = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    height = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    return width * height if width > 0 and height > 0 else 0.0


def overlap(one: Box | Detection, other: Box | Detection) -> float:
    """Return the intersection over union."""
    shared = shared_area(one, other)
    return shared / (one.area + other.area - shared) if shared else 0.0


class Operation(NamedTuple):
    """How a class fares where detections from a score on count."""

    threshold: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A class's detections over all pictures, best first: their scores, and how many up to each are right.

    `boxes` counts the true boxes that are not difficult. Without any there is nothing to measure, and all is None.
    """

    boxes: int
    scores: tuple[float, ...]
    right: tuple[int, ...]

    @classmethod
    def of(cls, scenes: Iterable[Scene]) -> "Curve":
        """Return the curve of a class; equal scores rank in the order of the pictures."""
        boxes, judged = 0, list[tuple[float, bool]]()
        for scene in scenes:
            boxes += sum(not box.difficult for box in scene.boxes)
            judged += _judged(scene)
        judged.sort(key=lambda pair: pair[0], reverse=True)
        return cls(boxes, tuple(score for score, _ in judged), tuple(accumulate(int(right) for _, right in judged)))

    @property
    def envelope(self) -> list[float]:
        """The interpolated precision after each detection: the best there or further down."""
        precision = [right / rank for rank, right in enumerate(self.right, 1)]
        return list(accumulate(reversed(precision), max))[::-1]

    @property
    def ap(self) -> float | None:
        """The area under the interpolated curve (VOC 2010 and later)."""
        if not self.boxes:
            return None
        steps = zip(self.right, (0, *self.right), self.envelope, strict=False)
        return sum((here - before) * height for here, before, height in steps) / self.boxes

    @property
    def ap_voc07(self) -> float | None:
        """The mean of the interpolated precision at eleven recalls (VOC 2007)."""
        if not self.boxes:
            return None
        return sum(precision for precision, _ in self._at([point / 10 for point in range(11)])) / 11

    @property
    def points(self) -> list[tuple[float, float]]:
        """Interpolated precision and least score at each of the CURVE_POINTS recalls, as far as the recall goes."""
        return self._at([point / (CURVE_POINTS - 1) for point in range(CURVE_POINTS)]) if self.boxes else []

    def _at(self, recalls: Sequence[float]) -> list[tuple[float, float]]:
        envelope = self.envelope
        # A hair is taken off each recall: 3 of 10 boxes reach a recall of 0.3, whatever the floats say.
        positions = (bisect_left(self.right, (recall - 1e-9) * self.boxes) for recall in recalls)
        return [(envelope[at], self.scores[at]) for at in positions if at < len(envelope)]

    @property
    def best(self) -> Operation | None:
        """The score threshold of the best F1, the higher one of two that are equal; None where nothing is right."""
        best: Operation | None = None
        for rank, (score, right) in enumerate(zip(self.scores, self.right, strict=True), 1):
            # A threshold can't part detections of one score.
            if not right or not self.boxes or (rank < len(self.scores) and self.scores[rank] == score):
                continue
            f1 = 2 * right / (rank + self.boxes)
            if best is None or f1 > best.f1:
                best = Operation(score, f1, right / rank, right / self.boxes)
        return best


def _judged(scene: Scene) -> Iterable[tuple[float, bool]]:
    """Yield the score of each detection that counts, and whether it is right."""
    taken = set[int]()
    for detection in scene.detections:
        overlaps = [overlap(detection, box) for box in scene.boxes]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=-1)
        if best < 0 or overlaps[best] < OVERLAP:
            yield detection.score, False
        elif not scene.boxes[best].difficult:
            yield detection.score, best not in taken
            taken.add(best)


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that have a value, None where none has."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
