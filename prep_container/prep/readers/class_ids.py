"""What SageMaker's two layouts share: objects of a class id, a top left corner and a size, in pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prep.model import Annotation, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.readers.fields import MAX_BOXES, Corners, Faults, class_id, corners, shown, size


@dataclass(frozen=True, slots=True)
class StatedObject:
    """One object, its class still an id."""

    index: int
    class_id: int
    corners: Corners


@dataclass(frozen=True, slots=True)
class Draft:
    """An annotation whose classes are still ids; `names` are those that its own file or line gives."""

    file: SourceFile
    picture_name: str
    claimed_size: tuple[int, int] | None
    objects: tuple[StatedObject, ...]
    names: Mapping[int, str]
    item: str = ""
    part: str = ""


def take_objects(document: Mapping[str, Any], faults: Faults, item: str = "") -> tuple[StatedObject, ...] | None:
    """The objects in a document's `annotations`; None, with a fault noted, where it holds no usable list of them."""
    entries = document.get("annotations")
    if not isinstance(entries, list):
        faults.add("its annotations are no list", item=item)
        return None
    if len(entries) > MAX_BOXES:
        faults.add(
            f"it has {len(entries)} boxes; more than {MAX_BOXES} are not believed", code="too_many_boxes", item=item
        )
        return None
    objects = []
    for index, entry in enumerate(entries):
        try:
            objects.append(_object(index, entry))
        except ValueError as error:
            faults.add(f"object {index}: {error}", box=index, item=item)
    return tuple(objects)


def _object(index: int, entry: object) -> StatedObject:
    if not isinstance(entry, dict):
        raise ValueError("it is no object with class_id, left, top, width and height")
    edges = corners(*(entry.get(side) for side in ("left", "top", "width", "height")))
    found = class_id(entry.get("class_id"))
    if found is None:
        raise ValueError(f"its class_id is {shown(entry.get('class_id'))}, not a whole number from 0")
    return StatedObject(index, found, edges)


def claimed_size(document: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size in `image_size`, which is a list of one."""
    stated = document.get("image_size")
    first = stated[0] if isinstance(stated, list) and stated else stated
    return size(first.get("width"), first.get("height")) if isinstance(first, dict) else None


def named(
    drafts: Sequence[Draft], layout: str, faults: Mapping[str, Faults], quarantine: Quarantine
) -> list[Annotation]:
    """The drafts with names for ids: their own, else the one that all others agree on.

    A draft that gives no names of its own takes an id that nobody names as the name, with a remark; where it does
    give names, and where the others disagree, the box is left out. `faults` are by file.
    """
    known: dict[int, set[str]] = defaultdict(set)
    for names in {id(draft.names): draft.names for draft in drafts}.values():
        for number, name in names.items():
            known[number].add(name)
    remarked: dict[str, set[int]] = defaultdict(set)
    annotations = []
    for draft in drafts:
        boxes, path = [], draft.file.path
        for stated in draft.objects:
            number = stated.class_id
            others = known.get(number, set())
            name = draft.names.get(number, "") or (next(iter(others)) if len(others) == 1 else "")
            if not name and (others or draft.names):
                remarked[path].add(number)
                why = f"stands for {' and '.join(map(shown, sorted(others)[:2]))}" if others else "has no name"
                reason = f"object {stated.index}: its class_id {number} {why}"
                faults[path].add(reason, box=stated.index, item=draft.item)
                continue
            if not name:
                remarked[path].add(number)
            boxes.append(StatedBox(stated.index, name or str(number), *stated.corners))
        annotations.append(
            Annotation(draft.file, draft.picture_name, draft.claimed_size, tuple(boxes), layout, draft.part, draft.item)
        )
    for path, numbers in sorted(remarked.items()):
        shown_ids = ", ".join(map(str, sorted(numbers)[:10]))
        reason = f"no single name is known for the class ids {shown_ids}; where nothing is named, the id is the name"
        quarantine.remark(path, "class_id_mismatch", reason)
    return annotations
