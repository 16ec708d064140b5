"""Several entries of one file about the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prep.model import Annotation, SourceFile, StatedBox
from prep.naming import fold
from prep.quarantine import Quarantine


def mergeable(first: Annotation, other: Annotation) -> bool:
    """Whether two annotations may be parts of one: entries of one file that state the same picture and size."""
    return (
        first.file.path == other.file.path
        and fold(first.picture_name) == fold(other.picture_name)
        and (first.claimed_size == other.claimed_size or None in (first.claimed_size, other.claimed_size))
    )


def merged(entries: Sequence[Annotation], picture: SourceFile, quarantine: Quarantine) -> Annotation:
    """One annotation with the boxes of all the entries, which some tools write one for each box.

    An entry that adds no box is left out as a duplicate; one that does is remarked on. The boxes keep their numbers
    where these differ; otherwise they are numbered on.
    """
    first = entries[0]
    boxes, known, used = list(first.boxes), {_content(box) for box in first.boxes}, [first]
    numbers = {box.index for box in boxes}
    for entry in entries[1:]:
        new = [box for box in entry.boxes if _content(box) not in known]
        if not new:
            leave_out_duplicate(entry, first, picture, quarantine)
            continue
        if not numbers.isdisjoint(box.index for box in new):
            start = max(numbers) + 1
            new = [replace(box, index=start + place) for place, box in enumerate(new)]
        boxes += new
        many = f"{len(new)} boxes" if len(new) > 1 else "a box"
        reason = f"it adds {many} to those that entry {first.item} states for {picture.path}"
        quarantine.remark(entry.file.path, "merged_annotation", reason, item=entry.item)
        numbers.update(box.index for box in new)
        known.update(map(_content, new))
        used.append(entry)
    if len(used) == 1:
        return first
    size = next((entry.claimed_size for entry in used if entry.claimed_size), None)
    return replace(first, boxes=tuple(boxes), claimed_size=size)


def leave_out_duplicate(annotation: Annotation, first: Annotation, picture: SourceFile, quarantine: Quarantine) -> None:
    """Leave out a second annotation of a picture."""
    described = f"{first.file.path}, entry {first.item}" if first.item else first.file.path
    reason = f"{described} already describes {picture.path}"
    quarantine.leave_out(annotation.file.path, "duplicate_annotation", reason, item=annotation.item)


def _content(box: StatedBox) -> StatedBox:
    return replace(box, index=0)
