"""Boxes checked against the picture as it really is, not as the annotation claims it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dropspot.preparation_plan import PreparationPlan
from prep.conventions import Conventions, far_off
from prep.mixed_units import DOUBTFUL
from prep.model import Annotation, Box, StatedBox
from prep.quarantine import Quarantine
from prep.stated_size import ENLARGED, changed_since, reaches_over
from prep.units import PIXEL, finite

DECIMALS = 7  # of a fraction: finer than a 32-bit float can tell apart near 1
SMALLEST_SIDE = 1.0  # pixels

_SWAPPED = "ends before it begins: its corners are swapped, or its size is negative"
_FAR_PAST = "reaches more than a whole picture past the {size} one"
_EITHER = "may be percentages or pixels: the data set holds both, and nothing tells which these are"

Edges = tuple[float, float, float, float]
Size = tuple[int, int]


def usable_boxes(
    annotation: Annotation,
    width: int,
    height: int,
    conventions: Conventions,
    plan: PreparationPlan,
    quarantine: Quarantine,
) -> tuple[Box, ...]:
    """The boxes of an annotation that can be trained on, as fractions of its picture of `width` x `height` pixels.

    `conventions` are those of the annotation's layout. Every stated box is either returned or left out by its index.
    A crowd that the plan keeps counts as difficult: finding each of its members is not asked for.
    """
    file, item, size, claimed = annotation.file.path, annotation.item, (width, height), annotation.claimed_size
    units = conventions.units_of(annotation)
    if units == DOUBTFUL:
        for box in annotation.boxes:
            quarantine.leave_out(file, "bad_annotation", f"{_corners(box)} {_EITHER}", box=box.index, item=item)
        return ()
    drawn_on = conventions.size_referred_to(annotation, width, height) if units == PIXEL else size
    stated = [(box, conventions.edges(box, units, *drawn_on)) for box in annotation.boxes]
    if claimed is not None and claimed != size:
        reason = _other_size(annotation, size, [edges for _, edges in stated], units)
        if drawn_on != size:
            reason = f"{_two_sizes(claimed, size)}; the boxes refer to the stated size and are scaled"
        quarantine.remark(file, "size_mismatch", reason, item=item)
    boxes = []
    for box, drawn in stated:
        edges = _scaled(drawn, drawn_on, size)
        if unwanted := _unwanted(box, plan):
            quarantine.leave_out(file, *unwanted, box=box.index, item=item, deliberate=True)
        elif problem := _problem(box, edges, units, size, drawn_on):
            quarantine.leave_out(file, *problem, box=box.index, item=item)
        else:
            if reaches_over(drawn, drawn_on):  # rounding is of the pixels that the box was drawn on
                reason = f"{_corners(box)} reaches over the edge of the {drawn_on[0]} x {drawn_on[1]} picture"
                quarantine.remark(file, "box_clipped", reason, box=box.index, item=item)
            boxes.append(_as_fractions(box, edges, size, plan))
    return tuple(boxes)


def _unwanted(box: StatedBox, plan: PreparationPlan) -> tuple[str, str] | None:
    """The code and reason for which the plan leaves a box out, or None."""
    if plan.class_names is not None and box.name not in plan.class_names:
        return "unknown_class", f"the plan does not ask for the class {box.name!r}"
    for marked, rule, kind in (
        (box.crowd, plan.boxes.crowd, "crowd"),
        (box.difficult, plan.boxes.difficult, "difficult"),
        (box.truncated, plan.boxes.truncated, "truncated"),
    ):
        if marked and rule == "drop":
            what = "a crowd" if kind == "crowd" else kind
            return f"{kind}_object", f"{box.name!r} is marked as {what}, which the plan's boxes.{kind} leaves out"
    return None


def _problem(box: StatedBox, edges: Edges, units: str, size: Size, drawn_on: Size) -> tuple[str, str] | None:
    """The code and reason for which a box cannot be used, or None."""
    if not finite(box) or not all(map(math.isfinite, edges)):
        return "bad_annotation", f"{_corners(box)} is no box: not all of it are numbers within reason"
    xmin, ymin, xmax, ymax = edges
    # Which of swapped corners is wrong is anybody's guess: a slip of a number, or a size taken for a corner.
    swapped = box.xmax < box.xmin or box.ymax < box.ymin
    # Corners that coincide are a stray click, even where they would mean the one pixel between them.
    if box.xmax <= box.xmin or box.ymax <= box.ymin or xmax - xmin < SMALLEST_SIDE or ymax - ymin < SMALLEST_SIDE:
        why = _SWAPPED if swapped else "is less than a pixel wide or high"
        return "degenerate_box", f"{_corners(box)} {why}"
    if far_off(box, units, drawn_on):
        why = "cannot be a {units}, as this data set's boxes are stated" if units != PIXEL else _FAR_PAST
        return "box_outside", f"{_corners(box)} {why.format(units=units, size=f'{drawn_on[0]} x {drawn_on[1]}')}"
    width, height = size
    inside_x = min(xmax, width) - max(xmin, 0.0)
    inside_y = min(ymax, height) - max(ymin, 0.0)
    if inside_x < SMALLEST_SIDE or inside_y < SMALLEST_SIDE:
        return "box_outside", f"{_corners(box)} lies outside the {drawn_on[0]} x {drawn_on[1]} picture"
    return None


def _other_size(annotation: Annotation, size: Size, boxes: Sequence[Edges], units: str) -> str:
    """What to say of a claimed size that is not the picture's, where boxes are not known to refer to it."""
    claimed = annotation.claimed_size or size
    reason = _two_sizes(claimed, size)
    if claimed == size[::-1]:
        return f"{reason}: width and height are exchanged, as if it meant the picture before its EXIF data turn it"
    change = changed_since(annotation, *size) if units == PIXEL else ""
    if not change:
        return reason
    fitting = not any(reaches_over(edges, claimed) for edges in boxes)
    if change == ENLARGED and not fitting:
        return reason
    if fitting and any(reaches_over(edges, size) for edges in boxes):
        return (
            f"{reason}; its boxes fit the stated size only, as if the picture had been shrunk since: used as they are"
        )
    return f"{reason}; if the picture was {change} since, its boxes, used as they are, are wrong"


def _two_sizes(claimed: Size, size: Size) -> str:
    return f"it states {claimed[0]} x {claimed[1]} pixels, the upright picture has {size[0]} x {size[1]}"


def _scaled(edges: Edges, drawn_on: Size, size: Size) -> Edges:
    """A box's edges on a picture that was brought to another size after the box was drawn."""
    if drawn_on == size:
        return edges
    across, down = size[0] / drawn_on[0], size[1] / drawn_on[1]
    return edges[0] * across, edges[1] * down, edges[2] * across, edges[3] * down


def _corners(box: StatedBox) -> str:
    return f"({box.xmin:g}, {box.ymin:g}, {box.xmax:g}, {box.ymax:g})"


def _as_fractions(box: StatedBox, edges: Edges, size: Size, plan: PreparationPlan) -> Box:
    """A box cut at the picture's edges, under the name that the plan trains it by."""
    width, height = size
    xmin, ymin, xmax, ymax = edges
    corners = _fraction(xmin, width), _fraction(ymin, height), _fraction(xmax, width), _fraction(ymax, height)
    name = box.name if plan.class_names is None else plan.class_names[box.name]
    return Box(name, *corners, box.difficult or box.crowd)


def _fraction(edge: float, side: int) -> float:
    return round(min(max(edge / side, 0.0), 1.0), DECIMALS)
