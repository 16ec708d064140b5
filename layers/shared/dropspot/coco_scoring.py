"""COCO's average precisions, equal to pycocotools': at overlaps of 0.5 to 0.95, over all boxes and by their size.

Within a picture each detection, best first, takes the free box that it overlaps most, if by the threshold at least. A
picture's detections of a class beyond the hundred best don't count. Difficult boxes are COCO's crowds: any number of
detections may fall into one, by the share of the detection that lies in it, and count neither way. A size's measure
leaves out boxes of other sizes likewise, and detections of other sizes that find nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from dropspot.scoring import Detection, Scene, overlap, shared_area

MOST_DETECTIONS = 100
# numpy.linspace(0.5, 0.95, 10) and numpy.linspace(0, 1, 101), bit for bit
OVERLAPS = tuple(0.5 + step * ((0.95 - 0.5) / 9) for step in range(10))
RECALLS = tuple(step * 0.01 for step in range(101))
ALL = "all"
# Least and greatest area in square pixels; a box on a limit belongs to both sides.
SIZES: Mapping[str, tuple[float, float]] = {
    ALL: (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}


@dataclass(frozen=True, slots=True)
class CocoScore:
    """A class's average precisions for one size, at each of OVERLAPS; empty where no box of that size counts."""

    boxes: int
    by_overlap: tuple[float, ...]

    @property
    def ap(self) -> float | None:
        return sum(self.by_overlap) / len(self.by_overlap) if self.by_overlap else None

    def at(self, threshold: float) -> float | None:
        """Return the average precision at an overlap of 0.5, 0.55 … 0.95."""
        return self.by_overlap[round((threshold - 0.5) * 20)] if self.by_overlap else None


class _Place(NamedTuple):
    """Where a detection stands: its scene, and its rank there."""

    scene: int
    rank: int


def coco_scores(scenes: Sequence[Scene]) -> dict[str, CocoScore]:
    """Return a class's scores by the names of SIZES."""
    ranked = _ranked(scenes)
    overlaps = _overlaps(scenes)
    # Whatever overlaps no box enough for the lowest threshold is wrong at all of them: only its rank matters.
    places = [(rank, place) for rank, (place, _) in enumerate(ranked) if place in overlaps]
    scores = {}
    for size, (low, high) in SIZES.items():
        boxes = sum(not box.difficult and low <= box.area <= high for scene in scenes for box in scene.boxes)
        if not boxes:
            scores[size] = CocoScore(0, ())
            continue
        sized = [low <= detection.area <= high for _, detection in ranked]
        before = list(accumulate(sized, initial=0))
        by_overlap = []
        for threshold in OVERLAPS:
            taken = dict(_matches(scenes, overlaps, (low, high), threshold))
            by_overlap.append(_average_precision(places, taken, sized, before, boxes))
        scores[size] = CocoScore(boxes, tuple(by_overlap))
    return scores


def _ranked(scenes: Sequence[Scene]) -> list[tuple[_Place, Detection]]:
    found = [
        (_Place(number, index), detection)
        for number, scene in enumerate(scenes)
        for index, detection in enumerate(scene.detections[:MOST_DETECTIONS])
    ]
    return sorted(found, key=lambda pair: pair[1].score, reverse=True)


def _overlaps(scenes: Sequence[Scene]) -> dict[_Place, list[float]]:
    """Return the overlap with each box of its scene, for the detections that may match one."""
    found = {}
    for number, scene in enumerate(scenes):
        if scene.boxes:
            for index, detection in enumerate(scene.detections[:MOST_DETECTIONS]):
                row = [
                    shared_area(detection, box) / (detection.area or 1.0) if box.difficult else overlap(detection, box)
                    for box in scene.boxes
                ]
                if max(row) >= OVERLAPS[0]:
                    found[_Place(number, index)] = row
    return found


def _matches(
    scenes: Sequence[Scene], overlaps: Mapping[_Place, Sequence[float]], area: tuple[float, float], threshold: float
) -> Iterator[tuple[_Place, bool]]:
    """Yield the detections that take a box, and whether that box counts."""
    scene_number, taken, ignored, order = -1, set[int](), list[bool](), list[int]()
    for place, row in overlaps.items():  # scene by scene, best first
        boxes = scenes[place.scene].boxes
        if place.scene != scene_number:
            scene_number, taken = place.scene, set()
            ignored = [box.difficult or not area[0] <= box.area <= area[1] for box in boxes]
            order = sorted(range(len(boxes)), key=ignored.__getitem__)
        best, least = -1, threshold
        for index in order:
            if index in taken and not boxes[index].difficult:
                continue
            if best >= 0 and not ignored[best] and ignored[index]:
                break
            if row[index] >= least:
                best, least = index, row[index]
        if best >= 0:
            taken.add(best)
            yield place, not ignored[best]


def _average_precision(
    places: Iterable[tuple[int, _Place]], taken: Mapping[_Place, bool], sized: Sequence[bool], before: Sequence[int],
    boxes: int,
) -> float:  # fmt: skip
    """Return the mean precision at RECALLS.

    `before[rank]` counts the detections of the right size that rank higher: they are wrong, unless they take a box.
    """
    recall, precision = list[float](), list[float]()
    right = 0
    matched = 0  # of the right size
    for rank, place in places:
        counts = taken.get(place)
        if counts is None:
            continue
        if counts:
            right += 1
            recall.append(right / boxes)
            precision.append(right / (right + before[rank] - matched))
        matched += sized[rank]
    envelope = list(accumulate(reversed(precision), max))[::-1]
    positions = (bisect_left(recall, point) for point in RECALLS)
    return sum(envelope[at] for at in positions if at < len(envelope)) / len(RECALLS)
