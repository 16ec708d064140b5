"""Boxes checked against the picture as it really is, not as the annotation claims it."""

from __future__ import annotations

from collections.abc import Mapping

from prep.model import Annotation, Box, StatedBox
from prep.quarantine import Quarantine

DECIMALS = 7  # of a fraction: finer than a 32-bit float can tell apart near 1
SMALLEST_SIDE = 1.0  # pixels


def usable_boxes(
    annotation: Annotation, width: int, height: int, classes: Mapping[str, str] | None, quarantine: Quarantine
) -> tuple[Box, ...]:
    """The boxes of an annotation that can be trained on, as fractions of a picture of `width` x `height` pixels.

    `classes` maps the annotation's names to the names to train; None takes all as they are. Coordinates are taken as
    pixel edges: xmin 0 is the left edge, xmax = width the right one.
    """
    claimed = annotation.claimed_size
    if claimed and claimed != (width, height):
        reason = f"it states {claimed[0]} x {claimed[1]} pixels, the upright picture has {width} x {height}"
        quarantine.remark(annotation.file.path, "size_mismatch", reason)
    boxes = []
    for box in annotation.boxes:
        name = box.name if classes is None else classes.get(box.name)
        if name is None:
            reason = f"the plan does not ask for the class {box.name!r}"
            quarantine.leave_out(annotation.file.path, "unknown_class", reason, box=box.index, deliberate=True)
            continue
        problem = _problem(box, width, height)
        if problem:
            quarantine.leave_out(annotation.file.path, *problem, box=box.index)
            continue
        if box.xmin < -1 or box.ymin < -1 or box.xmax > width + 1 or box.ymax > height + 1:
            reason = f"{_corners(box)} reaches over the edge of the {width} x {height} picture"
            quarantine.remark(annotation.file.path, "box_clipped", reason, box=box.index)
        boxes.append(_as_fractions(box, name, width, height))
    return tuple(boxes)


def _problem(box: StatedBox, width: int, height: int) -> tuple[str, str] | None:
    """The code and reason for which a box cannot be used, or None."""
    if box.xmax - box.xmin < SMALLEST_SIDE or box.ymax - box.ymin < SMALLEST_SIDE:
        return "degenerate_box", f"{_corners(box)} is less than a pixel wide or high"
    inside_x = min(box.xmax, width) - max(box.xmin, 0.0)
    inside_y = min(box.ymax, height) - max(box.ymin, 0.0)
    if inside_x < SMALLEST_SIDE or inside_y < SMALLEST_SIDE:
        return "box_outside", f"{_corners(box)} lies outside the {width} x {height} picture"
    return None


def _corners(box: StatedBox) -> str:
    return f"({box.xmin:g}, {box.ymin:g}, {box.xmax:g}, {box.ymax:g})"


def _as_fractions(box: StatedBox, name: str, width: int, height: int) -> Box:
    xmin, xmax = (round(min(max(x / width, 0.0), 1.0), DECIMALS) for x in (box.xmin, box.xmax))
    ymin, ymax = (round(min(max(y / height, 0.0), 1.0), DECIMALS) for y in (box.ymin, box.ymax))
    return Box(name, xmin, ymin, xmax, ymax, box.difficult)
