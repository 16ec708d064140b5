"""In which units, and counting from which pixel, a data set states its boxes: found out from the boxes themselves.

Layouts say nothing reliable about this. VOC XML comes in pixels that count from 1, from 0, in ratios and in percent;
YOLO files come in pixels. All annotations of one layout are judged together, against the decoded pictures:

- A box within 0 and 1 that has a fraction can only be a ratio. An annotation with nothing but such boxes is one of
  ratios whatever its neighbours are (`Conventions.units_of`), so a mixed data set is read file by file.
- Percent must show itself: enough boxes on enough large pictures, all within 0 and 100 and spread over that range.
- Everything else is what the layout nominally states: ratios in YOLO, pixels elsewhere.

Only pixels have a number to count from, and only layouts that state corners may mean the last pixel inside the box
rather than its edge. Where nothing decides between these, edges counted from 0 are off by a pixel at most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dropspot.preparation_plan import BoxRules
from prep.model import Annotation, StatedBox

PIXEL, RATIO, PERCENT = "pixel", "ratio", "percent"
FULL = {RATIO: 1.0, PERCENT: 100.0}  # what the picture's whole width or height is called
NOMINAL_UNITS = {"yolo": RATIO}  # pixels in every other layout
CORNER_LAYOUTS = frozenset({"voc"})  # the others state a size, which has no last pixel to be named

SLACK = 0.01  # of the whole, past either end: what rounding and sloppy edges explain
FAR = 2.0  # of the whole: a coordinate past this is no ratio (or percentage), however sloppy its edge
RATIO_SHARE = 0.95  # of a pixel layout's boxes: all but a few broken ones
MIXED_SHARE = 0.5  # of a ratio layout's boxes that cannot be ratios: below this they are broken rather than pixels
FEW = 3  # boxes on which a layout's nominal units are not given up, coordinates that may touch a bound by chance

PERCENT_SHARE = 0.97  # within 0 and 100; the others are broken
PERCENT_BOXES = 10  # so many boxes,
PERCENT_PICTURES = 5  # on so many large pictures: a few objects in the top left corner prove nothing.
PERCENT_PICTURES_WHOLE = 10  # Percentages without a fraction are rare, whole pixels are not: more pictures needed
LARGE_SIDE = 200  # pixels of the shorter side: 0 to 100 is then no more than its top left quarter
REACH = 0.6  # of 0 to 100 that the boxes extend over, in both directions
CENTRE = 0.35  # the boxes' centres average no nearer to 0 than this: they do not huddle in a corner
VARIETY = 0.1  # of 0 to 100 by which their edges differ at least: a logo is always in one place

WHOLE_SHARE = 0.98  # of the coordinates that are whole numbers, where pixels are numbered at all
STRAY = 0.05  # as many touches against a convention as broken boxes explain, per touch for it

Stated = Sequence[tuple[Annotation, int, int]]


@dataclass(frozen=True, slots=True)
class Conventions:
    """How the boxes of one layout are read.

    `first_pixel` is the number of the leftmost and topmost pixel. `last_pixel_inside` says that xmax and ymax name the
    last pixel of the box and not its edge. `evidence` is one sentence for people. `fixed` is set where the plan says
    the units, so that no annotation is read in others.
    """

    units: str
    first_pixel: int
    last_pixel_inside: bool
    evidence: str
    fixed: bool = False

    @property
    def document(self) -> dict[str, str | int | bool]:
        """The conventions as report.json states them."""
        return {
            "units": self.units,
            "first_pixel": self.first_pixel,
            "last_pixel_inside": self.last_pixel_inside,
            "evidence": self.evidence,
        }

    def units_of(self, annotation: Annotation) -> str:
        """The units of one annotation: ratio where it can be nothing else, the layout's otherwise."""
        return RATIO if not self.fixed and _is_ratio(annotation) else self.units

    def edges(self, box: StatedBox, units: str, width: int, height: int) -> tuple[float, float, float, float]:
        """A box's edges in pixels from the top left corner of a picture of that size, not clipped to it."""
        if units != PIXEL:
            across, down = width / FULL[units], height / FULL[units]
            return box.xmin * across, box.ymin * down, box.xmax * across, box.ymax * down
        first, beyond = self.first_pixel, self.first_pixel - self.last_pixel_inside
        return box.xmin - first, box.ymin - first, box.xmax - beyond, box.ymax - beyond


def nominal(layout: str) -> Conventions:
    """What a layout means where nothing is known about the data."""
    return Conventions(NOMINAL_UNITS.get(layout, PIXEL), 0, False, "nothing was looked at: the layout's nominal units")


def conventions_by_layout(stated: Stated, rules: BoxRules) -> dict[str, Conventions]:
    """The conventions of every layout found, by name."""
    layouts: dict[str, list[tuple[Annotation, int, int]]] = defaultdict(list)
    for annotation, width, height in stated:
        layouts[annotation.layout].append((annotation, width, height))
    return {layout: conventions_of(layout, layouts[layout], rules) for layout in sorted(layouts)}


def conventions_of(layout: str, stated: Stated, rules: BoxRules) -> Conventions:
    """The conventions of all annotations of one layout.

    `stated` has each annotation with the width and height of its upright picture as decoded. What `rules` says is
    taken as said.
    """
    fixed = rules.units != "auto"
    units, evidence = (rules.units, "the plan says so") if fixed else _units(layout, stated)
    first, inside = 0, False
    if units == PIXEL:
        numbered = [(a, w, h) for a, w, h in stated if fixed or not _is_ratio(a)]
        first, inside, why = _pixels(layout, numbered, rules.first_pixel)
        evidence += f"; {why}"
    if not fixed and units != RATIO and (ratios := sum(_is_ratio(annotation) for annotation, _, _ in stated)):
        evidence += f"; mixed: {ratios} of {len(stated)} annotations state ratios and are read so"
    return Conventions(units, first, inside, evidence, fixed)


def finite(box: StatedBox) -> bool:
    """Whether all of a box's corners are numbers."""
    return all(map(math.isfinite, _corners(box)))


def far_off(box: StatedBox, units: str) -> bool:
    """Whether a box cannot be meant in these units: it reaches more than a whole picture past the picture."""
    if units == PIXEL:
        return False  # the picture may have been shrunk after it was annotated
    return max(_corners(box)) > FAR * FULL[units] or min(_corners(box)) < (1 - FAR) * FULL[units]


def _corners(box: StatedBox) -> tuple[float, float, float, float]:
    return box.xmin, box.ymin, box.xmax, box.ymax


def _within(box: StatedBox, whole: float) -> bool:
    corners = _corners(box)
    return -SLACK * whole <= min(corners) and max(corners) <= (1 + SLACK) * whole


def _has_fraction(box: StatedBox) -> bool:
    return not all(corner.is_integer() for corner in map(float, _corners(box)))


def _is_ratio(annotation: Annotation) -> bool:
    """Whether an annotation can only be one of ratios: all boxes within 0 and 1, and not all of zeros and ones."""
    boxes = annotation.boxes
    return all(_within(box, 1.0) for box in boxes) and any(_has_fraction(box) for box in boxes)


def _units(layout: str, stated: Stated) -> tuple[str, str]:
    """The units that all annotations of one layout are read in, and why."""
    boxes = [box for annotation, _, _ in stated for box in annotation.boxes if finite(box)]
    ratios = sum(_within(box, 1.0) and _has_fraction(box) for box in boxes)
    others = sum(max(_corners(box)) > FAR for box in boxes)
    counts = f"{ratios} of {len(boxes)} boxes lie within 0 and 1, {others} reach past {FAR:g}"
    if NOMINAL_UNITS.get(layout) == RATIO:
        ratio = others < FEW or others < MIXED_SHARE * (ratios + others)
    else:
        ratio = ratios > 0 and ratios >= RATIO_SHARE * (ratios + others)
    if ratio:
        return RATIO, counts
    if evidence := _percent([(a, w, h) for a, w, h in stated if not _is_ratio(a)]):
        return PERCENT, evidence
    return PIXEL, counts


def _percent(stated: Stated) -> str:
    """Why boxes, which are no ratios, must be percentages; "" where pixels explain them as well."""
    whole = FULL[PERCENT]
    boxes = [box for annotation, _, _ in stated for box in annotation.boxes if finite(box)]
    within = sum(_within(box, whole) for box in boxes)
    if within < PERCENT_SHARE * len(boxes):
        return ""
    large = [annotation for annotation, *size in stated if min(size) >= LARGE_SIDE and annotation.boxes]
    judged = [box for annotation in large for box in annotation.boxes if finite(box) and _within(box, whole)]
    whole_numbers = sum(map(_has_fraction, judged)) < len(judged) / 2
    enough = PERCENT_PICTURES_WHOLE if whole_numbers else PERCENT_PICTURES
    if len(large) < enough or len(judged) < max(PERCENT_BOXES, enough, len(boxes) / 2):
        return ""
    for starts, ends in (
        ([box.xmin for box in judged], [box.xmax for box in judged]),
        ([box.ymin for box in judged], [box.ymax for box in judged]),
    ):
        centre = (sum(starts) + sum(ends)) / (2 * len(judged))
        varied = max(max(starts) - min(starts), max(ends) - min(ends)) >= VARIETY * whole
        if not (varied and centre >= CENTRE * whole and max(ends) - min(starts) >= REACH * whole):
            return ""
    return (
        f"{within} of {len(boxes)} boxes lie within 0 and 100 and are spread over that range, on "
        f"{len(large)} pictures of {LARGE_SIDE} pixels or more"
    )


def _pixels(layout: str, stated: Stated, said: str) -> tuple[int, bool, str]:
    """The first pixel's number, whether the far corner names the last pixel inside, and why."""
    suffix = "" if said == "auto" else ", as the plan says"
    if layout not in CORNER_LAYOUTS:
        return int(said == "1"), False, f"left and top count from {int(said == '1')}{suffix}"
    touches = _Touches.of(stated)
    first, inside = 0, False
    why = "nothing decides from where pixels count, so corners are edges from 0, off by one at most"
    if said == "1" or (said == "auto" and touches.from_one):
        first, inside, why = 1, True, f"pixels count from 1 up to the last one inside{suffix}"
    elif touches.from_zero_inside:
        inside, why = True, f"pixels count from 0{suffix} up to the last one inside"
    elif said == "0" or touches.from_zero:
        why = f"corners are edges, counted from 0{suffix}"
    return first, inside, f"{why}: {touches.counts}"


@dataclass(frozen=True, slots=True)
class _Touches:
    """How many coordinates touch, or nearly touch, the bounds of their pictures.

    Objects that a picture cuts off heap up at its bounds, and the numbers on which they do name the bounds. A heap is
    told from chance by the number beside it, which must be met less often.
    """

    whole: bool  # coordinates are whole numbers, as a pixel's are
    at_zero: int
    at_one: int
    at_two: int
    at_last_but_one: int  # the picture's width or height less two
    at_last: int
    at_size: int

    @classmethod
    def of(cls, stated: Stated) -> _Touches:
        near: dict[float, int] = defaultdict(int)
        far: dict[float, int] = defaultdict(int)
        fractions = total = 0
        for box, width, height in _comparable(stated):
            fractions += sum(not float(corner).is_integer() for corner in _corners(box))
            total += 4
            for start in (box.xmin, box.ymin):
                near[start] += 1
            for end in (box.xmax - width, box.ymax - height):
                far[end] += 1
        return cls(fractions <= (1 - WHOLE_SHARE) * total, near[0], near[1], near[2], far[-2], far[-1], far[0])

    @property
    def from_one(self) -> bool:
        """As VOC itself was published. LabelImg states edges but never a 0: read so, its boxes are a pixel too wide."""
        heaps = self.at_one > self.at_two and self.at_size > self.at_last
        return self.whole and heaps and min(self.at_one, self.at_size) >= FEW and self.at_zero <= STRAY * self.at_one

    @property
    def from_zero_inside(self) -> bool:
        """As arrays are indexed."""
        heaps = self.at_zero > self.at_one and self.at_last > self.at_last_but_one
        return self.whole and heaps and min(self.at_zero, self.at_last) >= FEW and self.at_size <= STRAY * self.at_last

    @property
    def from_zero(self) -> bool:
        """As edges are, which need not be whole numbers and reach from 0 to the size."""
        return not self.whole or min(self.at_zero, self.at_size) >= FEW

    @property
    def counts(self) -> str:
        kind = "" if self.whole else "with fractions, "
        return (
            f"{kind}{self.at_zero} near corners are 0 and {self.at_one} are 1, {self.at_last} far ones are the size "
            f"less one and {self.at_size} the size"
        )


def _comparable(stated: Stated) -> Iterable[tuple[StatedBox, int, int]]:
    """The boxes that refer to their picture as it is, and not to an earlier size of it."""
    for annotation, width, height in stated:
        if annotation.claimed_size in (None, (width, height)):
            for box in annotation.boxes:
                if finite(box):
                    yield box, width, height
