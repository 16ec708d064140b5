"""Boxes checked against the picture as it really is, not as the annotation claims it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dropspot.preparation_plan import PreparationPlan
from prep.conventions import PIXEL, Conventions, far_off, finite
from prep.model import Annotation, Box, StatedBox
from prep.quarantine import Quarantine

DECIMALS = 7  # of a fraction: finer than a 32-bit float can tell apart near 1
SMALLEST_SIDE = 1.0  # pixels
TOLERANCE = 1.0  # pixels over the edge: rounding, or another way of counting, and not worth a line
SAME_ASPECT_PERCENT = 2  # difference of two aspect ratios that whole numbers of pixels explain

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
    stated = [(box, conventions.edges(box, units, width, height)) for box in annotation.boxes]
    if claimed is not None and claimed != size:
        reason = _other_size(claimed, size, [edges for _, edges in stated], units)
        quarantine.remark(file, "size_mismatch", reason, item=item)
    boxes = []
    for box, edges in stated:
        if unwanted := _unwanted(box, plan):
            quarantine.leave_out(file, *unwanted, box=box.index, item=item, deliberate=True)
        elif problem := _problem(box, edges, units, size):
            quarantine.leave_out(file, *problem, box=box.index, item=item)
        else:
            if _reaches_over(edges, size):
                reason = f"{_corners(box)} reaches over the edge of the {width} x {height} picture"
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


def _problem(box: StatedBox, edges: Edges, units: str, size: Size) -> tuple[str, str] | None:
    """The code and reason for which a box cannot be used, or None."""
    if not finite(box) or not all(map(math.isfinite, edges)):
        return "bad_annotation", f"{_corners(box)} is no box: not all of it are numbers within reason"
    xmin, ymin, xmax, ymax = edges
    # Corners that coincide are a stray click, even where they would mean the one pixel between them.
    if box.xmax <= box.xmin or box.ymax <= box.ymin or xmax - xmin < SMALLEST_SIDE or ymax - ymin < SMALLEST_SIDE:
        return "degenerate_box", f"{_corners(box)} is less than a pixel wide or high"
    if far_off(box, units):
        return "box_outside", f"{_corners(box)} cannot be a {units}, as this data set's boxes are stated"
    width, height = size
    inside_x = min(xmax, width) - max(xmin, 0.0)
    inside_y = min(ymax, height) - max(ymin, 0.0)
    if inside_x < SMALLEST_SIDE or inside_y < SMALLEST_SIDE:
        return "box_outside", f"{_corners(box)} lies outside the {width} x {height} picture"
    return None


def _other_size(claimed: Size, size: Size, boxes: Sequence[Edges], units: str) -> str:
    """What to say of a claimed size that is not the picture's; boxes are never scaled on such a guess."""
    reason = f"it states {claimed[0]} x {claimed[1]} pixels, the upright picture has {size[0]} x {size[1]}"
    stated, real = claimed[0] * size[1], claimed[1] * size[0]
    if units != PIXEL or 100 * abs(stated - real) > SAME_ASPECT_PERCENT * real:
        return reason
    over = any(_reaches_over(edges, size) for edges in boxes)
    if over and not any(_reaches_over(edges, claimed) for edges in boxes):
        reason += "; its boxes fit the stated size only, as if the picture had been shrunk since: used as they are"
    return reason


def _reaches_over(edges: Edges, size: Size) -> bool:
    return min(edges[:2]) < -TOLERANCE or edges[2] > size[0] + TOLERANCE or edges[3] > size[1] + TOLERANCE


def _corners(box: StatedBox) -> str:
    return f"({box.xmin:g}, {box.ymin:g}, {box.xmax:g}, {box.ymax:g})"


def _as_fractions(box: StatedBox, edges: Edges, size: Size, plan: PreparationPlan) -> Box:
    """A box cut at the picture's edges, under the name that the plan trains it by."""
    xmin, ymin, xmax, ymax = (
        round(min(max(edge / side, 0.0), 1.0), DECIMALS) for edge, side in zip(edges, size * 2, strict=True)
    )
    name = box.name if plan.class_names is None else plan.class_names[box.name]
    return Box(name, xmin, ymin, xmax, ymax, box.difficult or box.crowd)
