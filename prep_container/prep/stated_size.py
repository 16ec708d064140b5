"""What boxes in pixels refer to where they do not fit their pictures: another size, or another way to state a box."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from prep.model import Annotation, StatedBox
from prep.units import FEW, Stated, corners_of, finite

Size = tuple[int, int]

SHRUNK, ENLARGED = "shrunk", "enlarged"  # what happened to a picture after it was annotated

TOLERANCE = 1.0  # pixels over the edge: rounding, or another way of counting
SAME_ASPECT_PERCENT = 2  # difference of two aspect ratios that whole numbers of pixels explain
FIT_SHARE = 0.97  # of the boxes that lie within what they refer to; the others are broken
AS_OFTEN = 0.4  # of the annotations beginning in a margin as wide: so many at least end past the picture
NEAR = 0.1  # of a side: a box that ends no further from an edge comes up to it
LEAST_ENLARGEMENT = 1.1  # pictures that became less larger may have got a margin, as to a multiple of 32
FAR_OVER = 0.1  # of a side past the edge: no carelessly drawn box, but one of a larger picture
MANY = 10  # annotations that would reach past a smaller size as likely as not, if it were not the one drawn on
MISFIT_SHARE = 0.1  # of the boxes that reach past their picture: a few are drawn carelessly, so many are misread
SIZED_LAYOUTS = frozenset({"coco", "sagemaker-json", "manifest"})  # state left, top, width and height


def changed_since(annotation: Annotation, width: int, height: int) -> str:
    """SHRUNK or ENLARGED, as a stated size of the same shape says the picture was since it was annotated, or ""."""
    claimed, size = annotation.claimed_size, (width, height)
    if claimed is None:
        return ""
    return SHRUNK if _is_enlargement(size, claimed) else ENLARGED if _is_enlargement(claimed, size) else ""


def _is_enlargement(small: Size, large: Size) -> bool:
    """Whether the second size is a larger one of the same shape."""
    one, other = large[0] * small[1], large[1] * small[0]
    return large[0] > small[0] and large[1] > small[1] and 100 * abs(one - other) <= SAME_ASPECT_PERCENT * other


def size_before(annotation: Annotation, width: int, height: int, changes: Container[str]) -> Size:
    """The size stated, where the picture's own came of one of these changes; otherwise the picture's own.

    A picture is not taken as enlarged where a box shows that it was drawn on the larger one.
    """
    claimed, change = annotation.claimed_size, changed_since(annotation, width, height)
    if claimed is None or change not in changes:
        return width, height
    if change == ENLARGED and not (_clearly_larger(claimed, width) and _none_far_over(annotation.boxes, claimed)):
        return width, height
    return claimed


def _clearly_larger(claimed: Size, width: int) -> bool:
    return width >= LEAST_ENLARGEMENT * claimed[0]


def _none_far_over(boxes: Iterable[StatedBox], size: Size) -> bool:
    right, bottom = ((1 + FAR_OVER) * side for side in size)
    return all(box.xmax <= right and box.ymax <= bottom for box in boxes if finite(box))


def _changed(stated: Stated, change: str) -> Iterator[tuple[Size, Size, list[StatedBox]]]:
    """The size stated, the picture's own, and the boxes that are numbers, where the picture was changed like that."""
    for annotation, width, height in stated:
        claimed = annotation.claimed_size
        if claimed and changed_since(annotation, width, height) == change:
            yield claimed, (width, height), [box for box in annotation.boxes if finite(box)]


def shrunk_evidence(stated: Stated) -> str:
    """Why the boxes on shrunk pictures refer to the size stated, as part of a sentence; "" where they need not.

    They must fit the stated size, and reach past the real one about as often as objects that stand anywhere do: a few
    that do so can be drawn carelessly.
    """
    shrunk = list(_changed(stated, SHRUNK))
    boxes = within = over = before = 0
    for claimed, (width, height), sound in shrunk:
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
    count = sum(1 for _ in _changed(stated, SHRUNK))
    hint = "their boxes are read as the picture's own, and are wrong if the pictures were shrunk since"
    return f"annotations that state a larger size of the same shape: {count}; {hint}" if count else ""


def enlarged_evidence(stated: Stated) -> str:
    """Why the boxes on enlarged pictures refer to the size stated, as part of a sentence; "" where they need not.

    Were they the picture's own, about as many would reach past the smaller size as begin in a margin as wide at the
    left or the top. That none do is explained as well by objects that all stand in the upper left part. Such a part
    ends anywhere, though, while boxes drawn on the smaller picture come up to its right and its bottom edge.
    """
    enlarged = [each for each in _changed(stated, ENLARGED) if each[2] and _clearly_larger(each[0], each[1][0])]
    boxes = within = over = before = 0
    across, down = [], []
    for (width, height), size, sound in enlarged:
        boxes += len(sound)
        within += sum(not reaches_over(corners_of(box), (width, height)) for box in sound)
        left, top = min(box.xmin for box in sound), min(box.ymin for box in sound)
        right, bottom = max(box.xmax for box in sound), max(box.ymax for box in sound)
        over += right > width + TOLERANCE or bottom > height + TOLERANCE
        before += left < size[0] - width - TOLERANCE or top < size[1] - height - TOLERANCE
        across.append((left / width, right / width))
        down.append((top / height, bottom / height))
    if before < MANY or over >= MISFIT_SHARE * before or within < FIT_SHARE * boxes:
        return ""
    if not (_come_up_to_the_end(across) and _come_up_to_the_end(down)):
        return ""
    return (
        f"{len(enlarged)} annotations state a smaller size of the same shape, which their boxes fit and whose right "
        f"and bottom edges they come up to, while {before} begin in a margin as wide as what is beyond: the pictures "
        "were enlarged, and these boxes are scaled with them"
    )


def _come_up_to_the_end(extents: Sequence[tuple[float, float]]) -> bool:
    """Whether annotations, of which the first and the last box's edge is given, come up to 1 about as often as to 0.

    They must come close as well: where they thin out before 1, it is not what ends them.
    """
    near_start = sum(start <= NEAR for start, _ in extents)
    near_end = sum(end >= 1 - NEAR for _, end in extents)
    close = sum(end >= 1 - NEAR / 2 for _, end in extents)
    return near_end >= max(FEW, AS_OFTEN * near_start) and close >= AS_OFTEN * (near_end - close)


def enlarged_doubt(stated: Stated) -> str:
    """A warning on boxes that fit a smaller stated size, as if larger pictures had taken the place of the annotated."""
    fitting = [
        all(not reaches_over(corners_of(box), claimed) for box in sound)
        for claimed, _, sound in _changed(stated, ENLARGED)
    ]
    if len(fitting) < FEW or sum(fitting) < FIT_SHARE * len(fitting):
        return ""
    return (
        f"annotations that state a smaller size of the same shape: {len(fitting)}, of which {sum(fitting)} have only "
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
