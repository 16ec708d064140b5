"""Which units boxes are stated in: pixels, ratios or percent, judged by all boxes of a group of annotations."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from prep.model import Annotation, StatedBox

PIXEL, RATIO, PERCENT = "pixel", "ratio", "percent"
FULL = {RATIO: 1.0, PERCENT: 100.0}  # what the picture's whole width or height is called
NOMINAL_UNITS = {"yolo": RATIO}  # pixels in every other layout

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

WHOLE_SHARE = 0.98  # of the coordinates, or boxes, that are whole numbers where something is stated in whole numbers

Stated = Sequence[tuple[Annotation, int, int]]  # with the width and height of the upright picture as decoded


def finite(box: StatedBox) -> bool:
    """Whether all of a box's corners are numbers."""
    return isfinite(box.xmin) and isfinite(box.ymin) and isfinite(box.xmax) and isfinite(box.ymax)


def corners_of(box: StatedBox) -> tuple[float, float, float, float]:
    """A box's corners in the order that they are stated in everywhere here: left, top, right, bottom."""
    return box.xmin, box.ymin, box.xmax, box.ymax


def within(box: StatedBox, whole: float) -> bool:
    """Whether a box lies between 0 and the number that stands for the picture's whole side, or all but."""
    low, high = -SLACK * whole, (1 + SLACK) * whole
    return low <= box.xmin <= high and low <= box.ymin <= high and low <= box.xmax <= high and low <= box.ymax <= high


def has_fraction(box: StatedBox) -> bool:
    """Whether a box is stated by more than whole numbers."""
    return not all(corner.is_integer() for corner in map(float, corners_of(box)))


def is_ratio(annotation: Annotation) -> bool:
    """Whether an annotation can only be one of ratios: all boxes within 0 and 1, and not all of zeros and ones."""
    boxes = annotation.boxes
    return all(within(box, 1.0) for box in boxes) and any(has_fraction(box) for box in boxes)


def units_of_all(layout: str, stated: Stated) -> tuple[str, str]:
    """The units that all annotations of one layout are read in, and why."""
    boxes = [box for annotation, _, _ in stated for box in annotation.boxes if finite(box)]
    ratios = sum(within(box, 1.0) and has_fraction(box) for box in boxes)
    others = sum(max(corners_of(box)) > FAR for box in boxes)
    counts = f"{ratios} of {len(boxes)} boxes lie within 0 and 1, {others} reach past {FAR:g}"
    if NOMINAL_UNITS.get(layout) == RATIO:
        ratio = others < FEW or others < MIXED_SHARE * (ratios + others)
    else:
        ratio = ratios > 0 and ratios >= RATIO_SHARE * (ratios + others)
    if ratio:
        return RATIO, counts
    if evidence := percent_evidence([(a, w, h) for a, w, h in stated if not is_ratio(a)]):
        return PERCENT, evidence
    return PIXEL, counts


def percent_evidence(stated: Stated) -> str:
    """Why boxes, which are no ratios, must be percentages; "" where pixels explain them as well."""
    whole = FULL[PERCENT]
    boxes = [box for annotation, _, _ in stated for box in annotation.boxes if finite(box)]
    inside = sum(within(box, whole) for box in boxes)
    if inside < PERCENT_SHARE * len(boxes):
        return ""
    large = [annotation for annotation, *size in stated if min(size) >= LARGE_SIDE and annotation.boxes]
    judged = [box for annotation in large for box in annotation.boxes if finite(box) and within(box, whole)]
    whole_numbers = sum(map(has_fraction, judged)) < len(judged) / 2
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
        f"{inside} of {len(boxes)} boxes lie within 0 and 100 and are spread over that range, on "
        f"{len(large)} pictures of {LARGE_SIDE} pixels or more"
    )
