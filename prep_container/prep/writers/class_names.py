"""The classes of the prepared data: their numbers, and the two documents that say what each number means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prep.model import Box
from prep.writers import write_json


def class_ids(classes: Sequence[str]) -> dict[str, int]:
    """Number the classes from 0 in the given order."""
    return {name: class_id for class_id, name in enumerate(classes)}


def named_ids(boxes: Iterable[Box], ids: Mapping[str, int]) -> list[tuple[int, str]]:
    """Class id and name of each class among the boxes, in the order of the ids."""
    return sorted((ids[name], name) for name in {box.name for box in boxes})


def class_map(boxes: Iterable[Box], ids: Mapping[str, int]) -> dict[str, str]:
    """The classes among the boxes as Ground Truth's `class-map` has them: class id (as text) to name."""
    return {str(class_id): name for class_id, name in named_ids(boxes, ids)}


def write_classes(classes: Sequence[str], prepared: Path) -> None:
    """Write classes.json, which serving and evaluation read: the names in the order of their ids."""
    write_json(prepared / "classes.json", {"classes": list(classes)})
