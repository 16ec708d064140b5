"""Average precision of detections against the held-out truth, in plain Python.

A detection is right where it overlaps a box of its class that no better-scored detection has taken, with an
intersection over union of at least 0.5. Boxes marked difficult count neither for nor against. Both forms of the PASCAL
VOC development kits are given: the area under the interpolated curve (2010 and later) and the mean of the precision at
eleven recalls (2007).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Box:
    """A box in fractions of the picture's width and height, origin top left."""

    class_id: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False

    @property
    def area(self) -> float:
        return max(0.0, self.xmax - self.xmin) * max(0.0, self.ymax - self.ymin)

    def overlap(self, other: "Box") -> float:
        """Return the intersection over union of the two."""
        width = min(self.xmax, other.xmax) - max(self.xmin, other.xmin)
        height = min(self.ymax, other.ymax) - max(self.ymin, other.ymin)
        if width <= 0 or height <= 0:
            return 0.0
        return width * height / (self.area + other.area - width * height)


@dataclass(frozen=True, slots=True)
class Detection:
    """A detected box and its score."""

    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class's average precisions; None where the held-out pictures hold no box of it."""

    class_id: int
    boxes: int
    ap50: float | None
    ap50_voc07: float | None


def score_class(
    class_id: int, truth: Mapping[str, Sequence[Box]], detections: Mapping[str, Sequence[Detection]]
) -> ClassScore:
    """Return the class's score over all pictures, given by name."""
    boxes = {name: [box for box in found if box.class_id == class_id] for name, found in truth.items()}
    positives = sum(not box.difficult for found in boxes.values() for box in found)
    if not positives:
        return ClassScore(class_id, 0, None, None)
    ranked = sorted(
        ((name, d) for name, found in detections.items() for d in found if d.box.class_id == class_id),
        key=lambda pair: -pair[1].score,
    )
    hits = _hits(ranked, boxes)
    true_positives = list(accumulate(int(hit) for hit in hits))
    recall = [count / positives for count in true_positives]
    precision = [count / rank for rank, count in enumerate(true_positives, 1)]
    # The interpolated precision at a recall is the best at that recall or a higher one.
    envelope = list(accumulate(reversed(precision), max))[::-1]
    return ClassScore(class_id, positives, _area(recall, envelope), _eleven_points(recall, envelope))


def _hits(ranked: Sequence[tuple[str, Detection]], boxes: Mapping[str, Sequence[Box]]) -> list[bool]:
    """Return for each detection that counts, best first, whether it is right."""
    taken: set[tuple[str, int]] = set()
    hits = []
    for name, detection in ranked:
        overlaps = [detection.box.overlap(box) for box in boxes.get(name, ())]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=-1)
        if best < 0 or overlaps[best] < OVERLAP:
            hits.append(False)
        elif not boxes[name][best].difficult:
            hits.append((name, best) not in taken)
            taken.add((name, best))
    return hits


def _area(recall: Sequence[float], envelope: Sequence[float]) -> float:
    steps = zip(recall, [0.0, *recall], envelope, strict=False)
    return sum((here - before) * height for here, before, height in steps)


def _eleven_points(recall: Sequence[float], envelope: Sequence[float]) -> float:
    # A hair is taken off each recall: 3 of 10 boxes reach a recall of 0.3, whatever the floats say.
    positions = [bisect_left(recall, point / 10 - 1e-9) for point in range(11)]
    return sum(envelope[position] for position in positions if position < len(envelope)) / 11


def mean(values: Sequence[float | None]) -> float:
    """Return the mean over the classes that have a value, 0 where none has."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0
