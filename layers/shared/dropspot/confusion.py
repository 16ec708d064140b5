"""What was taken for what: detections above their class's threshold paired with the true boxes of any class.

A pair overlaps by at least 0.5. Pairs of one class come first, then those that overlap most; each box and each
detection is in one pair. What is left of the detections was seen where nothing is, what is left of the boxes was
missed. Difficult boxes may be found and need not be: one that is missed is left out, and so is a detection of it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropspot.scoring import OVERLAP, Box, Detection, overlap


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture's boxes and detections; `pairs` hold those of different classes too."""

    pairs: tuple[tuple[Box, Detection], ...]
    missed: tuple[Box, ...]
    invented: tuple[Detection, ...]

    @property
    def confused(self) -> list[tuple[Box, Detection]]:
        return [(box, detection) for box, detection in self.pairs if box.class_id != detection.class_id]

    @property
    def severity(self) -> float:
        """How badly the picture was seen: its missed and its confused boxes, and the scores of what isn't there."""
        return len(self.missed) + len(self.confused) + sum(detection.score for detection in self.invented)


def outcome(boxes: Sequence[Box], detections: Sequence[Detection], thresholds: Sequence[float]) -> Outcome:
    """Return what became of a picture; `thresholds` are the least scores by class id."""
    counted = [detection for detection in detections if detection.score >= thresholds[detection.class_id]]
    candidates = [
        (box.difficult, box.class_id != detection.class_id, -shared, at, found)
        for at, box in enumerate(boxes)
        for found, detection in enumerate(counted)
        if (shared := overlap(detection, box)) >= OVERLAP
    ]
    paired, used = dict[int, int](), set[int]()
    for *_, at, found in sorted(candidates):
        if at not in paired and found not in used:
            paired[at] = found
            used.add(found)
        elif boxes[at].difficult:
            used.add(found)
    return Outcome(
        pairs=tuple((boxes[at], counted[found]) for at, found in sorted(paired.items()) if not boxes[at].difficult),
        missed=tuple(box for at, box in enumerate(boxes) if at not in paired and not box.difficult),
        invented=tuple(detection for found, detection in enumerate(counted) if found not in used),
    )


def confusion(outcomes: Mapping[str, Outcome]) -> Counter[tuple[int | None, int | None]]:
    """Count by the class that is there and the class that was detected; None is background on either side."""
    cells = Counter[tuple[int | None, int | None]]()
    for one in outcomes.values():
        cells.update((box.class_id, detection.class_id) for box, detection in one.pairs)
        cells.update((box.class_id, None) for box in one.missed)
        cells.update((None, detection.class_id) for detection in one.invented)
    return cells
