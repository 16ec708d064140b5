"""report.json: what was prepared, what was left out, and the numbers that training needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dropspot.preparation_plan import SPLITS
from prep.lists import ListedNames
from prep.model import LabelledPicture
from prep.quarantine import Quarantine
from prep.recordio import read_records
from prep.split import ENOUGH_TO_HOLD_OUT
from prep.writers.record_files import HEADER_WIDTH, OBJECT_WIDTH

SCHEMA = "dropspot/report/1"
Shared = Mapping[str, Sequence[LabelledPicture]]


def build_report(
    shared: Shared, classes: Sequence[str], found: int, prepared: Path, quarantine: Quarantine, listed: ListedNames
) -> dict[str, Any]:
    """The report on outputs already written below `prepared`."""
    used = sum(len(pictures) for pictures in shared.values())
    splits = {side: _split_summary(shared[side]) for side in SPLITS}
    return {
        "schema": SCHEMA,
        "digest": digest(prepared),
        "classes": [
            {"class_id": class_id, "name": name, "boxes": {side: _boxes_of(shared[side], name) for side in SPLITS}}
            for class_id, name in enumerate(classes)
        ],
        "images": {"found": found, "used": used, "left_out": found - used},
        "splits": splits,
        "num_training_samples": sum(1 for _ in read_records(prepared / "train" / "train.rec")),
        "label_width": label_width(max(summary["max_boxes"] for summary in splits.values())),
        "left_out": quarantine.counts(),
        "remarks": quarantine.counts(left_out=False),
        "warnings": _warnings(shared, classes, listed, quarantine),
    }


def label_width(max_boxes: int) -> int:
    """Floats that a label may take: the fullest picture's, and a quarter of its boxes (at least four) to spare."""
    return HEADER_WIDTH + OBJECT_WIDTH * (max_boxes + max(4, max_boxes // 4))


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of every file below a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_file():
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            total.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return total.hexdigest()


def _split_summary(pictures: Sequence[LabelledPicture]) -> dict[str, int]:
    boxes = [len(picture.boxes) for picture in pictures]
    return {"images": len(boxes), "boxes": sum(boxes), "max_boxes": max(boxes, default=0)}


def _boxes_of(pictures: Sequence[LabelledPicture], name: str) -> int:
    return sum(box.name == name for picture in pictures for box in picture.boxes)


def _warnings(shared: Shared, classes: Sequence[str], listed: ListedNames, quarantine: Quarantine) -> list[str]:
    warnings = []
    for name in classes:
        absent = [side for side in SPLITS if not _boxes_of(shared[side], name)]
        if absent:
            pictures = sum(any(box.name == name for box in p.boxes) for side in SPLITS for p in shared[side])
            hint = f"; it takes {ENOUGH_TO_HOLD_OUT}" if pictures < ENOUGH_TO_HOLD_OUT else ""
            warnings.append(f"class {name!r} is not in {' or '.join(absent)}: it has {pictures} pictures{hint}")
    if listed.lists:
        warnings.append(f"the split is by content; the data set's own lists are not followed: {_few(listed.lists)}")
    for code, sentence in (
        ("wrong_extension", "pictures are another format than their name says"),
        ("size_mismatch", "annotations state another size than their picture has"),
        ("conflicting_boxes", "pictures have the pixels of another one, but other boxes"),
    ):
        if count := quarantine.counts(left_out=False).get(code):
            warnings.append(f"{count} {sentence}")
    return warnings


def _few(names: Iterable[str]) -> str:
    """The names, or the first three and how many more there are."""
    known = list(names)
    return ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
