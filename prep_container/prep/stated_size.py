"""What boxes in pixels refer to where they do not fit their pictures: another size, or another way to state a box."""

from __future__ import annotations

from collections.abc import Iterable

from prep.model import Annotation, StatedBox
from prep.units import FEW, Stated, corners_of, finite

Size = tuple[int, int]

TOLERANCE = 1.0  # pixels over the edge: rounding, or another way of counting
SAME_ASPECT_PERCENT = 2  # difference of two aspect ratios that whole numbers of pixels explain
FIT_SHARE = 0.97  # of the boxes that lie within what they refer to; the others are broken
AS_OFTEN = 0.4  # of the annotations beginning in a margin as wide: so many at least end past the picture
MISFIT_SHARE = 0.1  # of the boxes that reach past their picture: a few are drawn carelessly, so many are misread
SIZED_LAYOUTS = frozenset({"coco", "sagemaker-json", "manifest"})  # state left, top, width and height


def is_shrunk(annotation: Annotation, width: int, height: int) -> bool:
    """Whether the stated size is a larger one of the same shape, as if the picture had been shrunk since."""
    claimed = annotation.claimed_size
    return claimed is not None and _is_enlargement((width, height), claimed)


def _is_enlargement(small: Size, large: Size) -> bool:
    """Whether the second size is a larger one of the same shape."""
    one, other = large[0] * small[1], large[1] * small[0]
    return large[0] > small[0] and large[1] > small[1] and 100 * abs(one - other) <= SAME_ASPECT_PERCENT * other


def size_before(annotation: Annotation, width: int, height: int) -> Size:
    """The larger size stated, or the picture's own where none is."""
    claimed = annotation.claimed_size
    return claimed if claimed and is_shrunk(annotation, width, height) else (width, height)


def shrunk_evidence(stated: Stated) -> str:
    """Why the boxes on shrunk pictures refer to the size stated, as part of a sentence; "" where they need not.

    They must fit the stated size, and reach past the real one about as often as objects that stand anywhere do: a few
    that do so can be drawn carelessly.
    """
    shrunk = [each for each in stated if is_shrunk(*each)]
    boxes = within = over = before = 0
    for annotation, width, height in shrunk:
        claimed = size_before(annotation, width, height)
        sound = [box for box in annotation.boxes if finite(box)]
        boxes += len(sound)
        within += sum(not reaches_over(corners_of(box), claimed) for box in sound)
        over += any(box.xmax > width + TOLERANCE or box.ymax > height + TOLERANCE for box in sound)
        margin_x, margin_y = claimed[0] - width - TOLERANCE, claimed[1] - height - TOLERANCE
        before += any(box.xmin < margin_x or box.ymin < margin_y for box in sound)
    if over < max(FEW, AS_OFTEN * before) or within < FIT_SHARE * boxes:
        return ""
    return (
        f"{len(shrunk)} annotations state a larger size of the same shape, which their boxes fit, {over} of them only "
        "that: the pictures were shrunk, and these boxes are scaled with them"
    )


def shrunk_doubt(stated: Stated) -> str:
    """A warning on boxes that refer to a larger stated size or to the real one, which nothing decides."""
    count = sum(is_shrunk(*each) for each in stated)
    hint = "their boxes are read as the picture's own, and are wrong if the pictures were shrunk since"
    return f"annotations that state a larger size of the same shape: {count}; {hint}" if count else ""


def enlarged_doubt(stated: Stated) -> str:
    """A warning on boxes that fit a smaller stated size, as if larger pictures had taken the place of the annotated."""
    enlarged = [
        (a, a.claimed_size)
        for a, *size in stated
        if a.claimed_size and _is_enlargement(a.claimed_size, (size[0], size[1]))
    ]
    fitting = [all(not reaches_over(corners_of(box), size) for box in a.boxes if finite(box)) for a, size in enlarged]
    if len(fitting) < FEW or sum(fitting) < FIT_SHARE * len(fitting):
        return ""
    return (
        f"annotations that state a smaller size of the same shape: {len(enlarged)}, of which {sum(fitting)} have only "
        "boxes that fit it; these are read as the picture's own, and are wrong if the pictures were enlarged since"
    )


def misread_corners(layout: str, stated: Stated) -> str:
    """A warning where left, top, width and height are in truth two corners; "" where they need not be.

    Right corners read as sizes reach past the picture; sizes read as right corners mostly lie left of the left ones.
    """
    if layout not in SIZED_LAYOUTS:
        return ""
    boxes = over = sound = 0
    for box, size in _sized(stated):
        boxes += 1
        over += reaches_over(corners_of(box), size)
        right, bottom = box.xmax - box.xmin, box.ymax - box.ymin
        sound += box.xmin < right <= size[0] + TOLERANCE and box.ymin < bottom <= size[1] + TOLERANCE
    if over < max(FEW, MISFIT_SHARE * boxes) or sound < FIT_SHARE * boxes:
        return ""
    return (
        f"{over} of {boxes} boxes reach past their pictures, and {sound} would fit if they "
        "were stated as [x1, y1, x2, y2] and not as [left, top, width, height]: they are read as the layout defines "
        "them, and are most likely wrong"
    )


def reaches_over(edges: tuple[float, float, float, float], size: Size) -> bool:
    """Whether a box reaches past a picture's edges by more than rounding explains."""
    return min(edges[:2]) < -TOLERANCE or edges[2] > size[0] + TOLERANCE or edges[3] > size[1] + TOLERANCE


def _sized(stated: Stated) -> Iterable[tuple[StatedBox, Size]]:
    for annotation, *size in stated:
        for box in annotation.boxes:
            if finite(box):
                yield box, (size[0], size[1])
