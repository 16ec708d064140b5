"""Percentages among pixels: which annotations of a layout are stated in percent although the others are not.

Unlike ratios, percentages are no proof by themselves: a small object near the top left corner of a picture lies within
0 and 100 pixels as well. Two things tell them apart:

- A whole folder, or a file that describes many pictures, is judged as a layout is.
- Single files are judged by what pixels would have to explain. Objects in pixels know no line at 100: other squares of
  100 x 100 pixels, in the other corners and beside this one, hold about as many. Where they hold none, all annotations
  within 0 and 100 are percentages. Where they hold some, it is a mixture that cannot be taken apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from prep.model import Annotation
from prep.units import (
    FULL,
    LARGE_SIDE,
    PERCENT,
    PERCENT_PICTURES_WHOLE,
    WHOLE_SHARE,
    Stated,
    finite,
    has_fraction,
    is_ratio,
    percent_evidence,
    within,
)

DOUBTFUL = ""  # the units of an annotation that may be one of percent or of pixels
RARER = 5  # times: how much emptier than 0 to 100 any other square must be for a mixture
DEVIATIONS = 4  # of a count by chance: a surplus within 0 and 100 that is worth a warning, if no more
CHANCE_SHARE = 0.02  # of the annotations within 0 and 100 that may be pixels after all, and are read as percent
EARLY, LATE = 0.4, 0.6  # of 0 to 100: a tenth of the centres lies before the one, and a tenth past the other
TENTH = 10

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mixture:
    """The units of the annotations, by their place, that are not read in the layout's pixels.

    `evidence` has what was decided, each as part of a sentence; `warning` says what could not be decided, or is "".
    """

    units: Mapping[Place, str] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    warning: str = ""


def place(annotation: Annotation) -> Place:
    """What tells an annotation from every other one of the data set."""
    return annotation.file.path, annotation.item


def percent_among_pixels(stated: Stated) -> Mixture:
    """What of a layout in pixels is stated in percent."""
    numbers = [each for each in stated if each[0].boxes and not is_ratio(each[0])]
    units: dict[Place, str] = {}
    evidence: tuple[str, ...] = ()
    if grouped := _percent_groups(numbers):
        units = dict.fromkeys(grouped, PERCENT)
        evidence = (f"mixed: {len(grouped)} annotations, in files or folders of their own, are read as percentages",)
        numbers = [each for each in numbers if place(each[0]) not in units]
    low = [each for each in numbers if _all_within(each[0])]
    large = [each for each in low if min(each[1:]) >= LARGE_SIDE]
    if len(low) == len(numbers) or len(large) < DEVIATIONS:
        return Mixture(units, evidence)
    chance = _elsewhere(numbers)
    if len(large) - chance < DEVIATIONS * math.sqrt(chance + 1) or not percent_evidence(large):
        return Mixture(units, evidence)
    count = f"{len(large)} of {len(numbers)} annotations"
    if len(large) < RARER * chance or not _unmistakable(large, numbers):
        hint = "lie within 0 and 100 and could be percentages; they are read as pixels: look at them in the report"
        return Mixture(units, evidence, f"the boxes of {count} {hint}")
    if chance > CHANCE_SHARE * len(large):
        warning = f"{count} must be percentages for the most part, but pixels explain some of them: all are left out"
        return Mixture(units | {place(a): DOUBTFUL for a, _, _ in low}, evidence, warning)
    # On small pictures, 0 to 100 is most of the picture, so there both are as likely.
    units |= {place(a): PERCENT if min(size) >= LARGE_SIDE else DOUBTFUL for a, *size in low}
    evidence += (f"mixed: {count} lie within 0 and 100, spread over it, and are read as percentages",)
    doubtful = len(low) - len(large)
    warning = f"{doubtful} annotations of small pictures may be percentages or pixels and are left out"
    return Mixture(units, evidence, warning if doubtful else "")


def _percent_groups(stated: Stated) -> set[Place]:
    """The annotations of the folders, and of the files that describe many pictures, that hold only percentages."""
    groups: dict[str, list[tuple[Annotation, int, int]]] = defaultdict(list)
    for each in stated:
        path = each[0].file.path
        groups[path].append(each)
        groups[f"{path.rpartition('/')[0]}/"].append(each)
    found: set[Place] = set()
    for group in groups.values():
        large = [each for each in group if min(each[1:]) >= LARGE_SIDE and _all_within(each[0])]
        if len(large) >= PERCENT_PICTURES_WHOLE and len(group) < len(stated) and percent_evidence(group):
            others = [each for each in stated if each[0].file.path != group[0][0].file.path]
            if _unmistakable(large, others):
                found |= {place(annotation) for annotation, _, _ in group}
    return found


def _all_within(annotation: Annotation) -> bool:
    return all(finite(box) and within(box, FULL[PERCENT]) for box in annotation.boxes)


def _elsewhere(stated: Stated) -> int:
    """The most annotations that lie within any other square of 100 x 100 pixels, where percentages never do."""
    side = FULL[PERCENT]
    counts = [0] * 6
    for annotation, width, height in stated:
        if min(width, height) < LARGE_SIDE:
            continue
        right, bottom = width - side, height - side
        squares = ((right, 0.0), (0.0, bottom), (right, bottom), (side, 0.0), (0.0, side), (side, side))
        for number, (left, top) in enumerate(squares):
            counts[number] += all(
                left - 1 <= box.xmin
                and box.xmax <= left + side + 1
                and top - 1 <= box.ymin
                and box.ymax <= top + side + 1
                for box in annotation.boxes
            )
    return max(counts)


def _unmistakable(low: Stated, numbers: Stated) -> bool:
    """Whether boxes within 0 and 100 are all over it, or written with fractions where the others are not.

    A channel's logo is always in the same corner, and written as every other box is.
    """
    boxes = [box for annotation, _, _ in low for box in annotation.boxes]
    known = {place(annotation) for annotation, _, _ in low}
    others = [box for a, _, _ in numbers if place(a) not in known for box in a.boxes if finite(box)]
    if sum(map(has_fraction, boxes)) >= WHOLE_SHARE * len(boxes) and others:
        return sum(map(has_fraction, others)) <= (1 - WHOLE_SHARE) * len(others)
    whole, tenth = FULL[PERCENT], len(boxes) // TENTH
    for centres in (
        sorted((box.xmin + box.xmax) / 2 for box in boxes),
        sorted((box.ymin + box.ymax) / 2 for box in boxes),
    ):
        if centres[tenth] > EARLY * whole or centres[-1 - tenth] < LATE * whole:
            return False
    return True
