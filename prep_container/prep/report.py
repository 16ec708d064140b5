"""report.json: what was prepared, what was left out, and the numbers that training needs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dropspot.preparation_plan import SPLITS, PreparationPlan
from prep.model import LabelledPicture
from prep.page.words import counted, shown
from prep.quarantine import CODES, Quarantine
from prep.split import ENOUGH_TO_HOLD_OUT
from prep.writers.outputs import count_training_samples
from prep.writers.record_files import HEADER_WIDTH, OBJECT_WIDTH

SCHEMA = "dropspot/report/1"
MOST_CLASSES_WARNED = 20
MOST_WARNINGS_TOLD = 10
Shared = Mapping[str, Sequence[LabelledPicture]]

# The remarks that a person should know of before trusting a model.
_WARNED_REMARKS = (
    "wrong_extension",
    "damaged_image",
    "size_mismatch",
    "class_id_mismatch",
    "key_points",
    "conflicting_boxes",
    "split_conflict",
    "not_listed",
    "merged_annotation",
    "similar_classes",
)
# What was left out although it was meant to be used, and what a person can mostly mend.
_WARNED_LOSSES = (
    "unsupported_image",
    "unsafe_member",
    "file_too_large",
    "unreadable_file",
    "replaced_file",
    "bad_annotation",
    "duplicate_annotation",
    "annotation_without_image",
    "ambiguous_image",
    "conflicting_annotation",
    "outside_reference",
    "too_many_boxes",
    "listed_without_annotation",
    "not_an_image",
    "corrupt_image",
    "image_too_large",
    "degenerate_box",
    "box_outside",
)
CLIPPED_SHARE = 0.1  # of the boxes used: a few are drawn carelessly, so many are misread
_UNITS = {"pixel": "pixels", "ratio": "fractions of the picture", "percent": "percentages of the picture"}


class Documented(Protocol):
    """A decision that can say of itself what it is."""

    @property
    def document(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What reading the data set showed.

    `pictures` counts those found; `layouts` counts the annotations of each layout, and `conventions` says how the boxes
    of each are understood; `division` says how the pictures were divided, `lists` are the paths of the lists that the
    data set brought along.
    """

    pictures: int
    layouts: Mapping[str, int]
    division: Documented
    conventions: Mapping[str, Documented]
    lists: Collection[str] = ()


def build_report(
    shared: Shared,
    classes: Sequence[str],
    findings: Findings,
    plan: PreparationPlan,
    prepared: Path,
    quarantine: Quarantine,
) -> dict[str, Any]:
    """The report on outputs already written below `prepared`."""
    used = sum(len(pictures) for pictures in shared.values())
    splits = {side: _split_summary(shared[side]) for side in SPLITS}
    boxes = {side: Counter(box.name for picture in shared[side] for box in picture.boxes) for side in SPLITS}
    division = findings.division.document
    conventions = {layout: findings.conventions[layout].document for layout in sorted(findings.conventions)}
    return {
        "schema": SCHEMA,
        "digest": digest(shared, classes),
        "output": plan.output,
        "classes": [
            {"class_id": class_id, "name": name, "boxes": {side: boxes[side][name] for side in SPLITS}}
            for class_id, name in enumerate(classes)
        ],
        "images": {"found": findings.pictures, "used": used, "left_out": findings.pictures - used},
        "layouts": dict(sorted(findings.layouts.items())),
        "conventions": conventions,
        "split": division,
        "splits": splits,
        "num_training_samples": count_training_samples(plan.output, prepared),
        "label_width": label_width(max(summary["max_boxes"] for summary in splits.values())),
        "left_out": quarantine.counts(),
        "remarks": quarantine.counts(left_out=False),
        "warnings": [
            # What may spoil every box comes first, and last what there may be many of.
            *_convention_warnings(conventions),
            *_clipped_warnings(shared, quarantine),
            *_list_warnings(division, findings.lists, plan),
            *_loss_warnings(quarantine),
            *_remark_warnings(quarantine),
            *_class_warnings(shared, boxes, classes, division),
        ],
    }


def told_warnings(warnings: Sequence[str]) -> Iterator[str]:
    """Lines for a log: the first warnings, and how many more there are."""
    for warning in warnings[:MOST_WARNINGS_TOLD]:
        yield f"warning: {shown(warning, 400)}"
    if len(warnings) > MOST_WARNINGS_TOLD:
        yield f"{counted(len(warnings) - MOST_WARNINGS_TOLD, 'more warning')} in report.html"


def label_width(max_boxes: int) -> int:
    """Floats that a label may take: the fullest picture's, and a quarter of its boxes (at least four) to spare."""
    return HEADER_WIDTH + OBJECT_WIDTH * (max_boxes + max(4, max_boxes // 4))


def digest(shared: Shared, classes: Sequence[str]) -> str:
    """SHA-256 over what is learned from: the classes in their order, and each part's pictures with their boxes.

    Pictures count by their `payload_digest`. The output's format, the files' names and folders, and the order of
    pictures and boxes make no difference.
    """
    ids = {name: class_id for class_id, name in enumerate(classes)}
    total = hashlib.sha256(json.dumps(list(classes)).encode())
    for side in SPLITS:
        lines = sorted(
            json.dumps([
                picture.payload_digest,
                sorted([ids[box.name], *box.corners, int(box.difficult)] for box in picture.boxes),
            ])
            for picture in shared[side]
        )  # fmt: skip
        for line in (side, *lines):
            total.update(f"{line}\n".encode())
    return total.hexdigest()


def _split_summary(pictures: Sequence[LabelledPicture]) -> dict[str, int]:
    boxes = [len(picture.boxes) for picture in pictures]
    return {"images": len(boxes), "boxes": sum(boxes), "max_boxes": max(boxes, default=0)}


def _class_warnings(
    shared: Shared, boxes: Mapping[str, Counter[str]], classes: Sequence[str], division: Mapping[str, Any]
) -> Iterator[str]:
    """One for each class that a part lacks; a long tail of them is only counted."""
    showing = Counter(name for side in SPLITS for p in shared[side] for name in {box.name for box in p.boxes})
    absent = {name: [side for side in SPLITS if not boxes[side][name]] for name in classes}
    lacking = [name for name in classes if absent[name]]
    for name in lacking[:MOST_CLASSES_WARNED]:
        drawn = division["how"] == "content"
        hint = f"; it takes {ENOUGH_TO_HOLD_OUT}" if drawn and showing[name] < ENOUGH_TO_HOLD_OUT else ""
        pictures = "1 picture" if showing[name] == 1 else f"{showing[name]} pictures"
        yield f"class {name!r} is not in {' or '.join(absent[name])}: it has {pictures}{hint}"
    if len(lacking) > MOST_CLASSES_WARNED:
        yield f"{len(lacking) - MOST_CLASSES_WARNED} more classes are not in every part"


def _list_warnings(division: Mapping[str, Any], lists: Collection[str], plan: PreparationPlan) -> Iterator[str]:
    """One where the data set comes with lists that are not followed although the plan would have it."""
    if lists and division["how"] == "content" and plan.split.lists != "ignore":
        named = sorted(lists)
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        yield f"the data set's own lists ({', '.join(named[:3])}{more}) are not followed: {division['reason']}"


def _convention_warnings(conventions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is in doubt about a layout's boxes, and where they are not stated as its definition has them.

    VOC's own pixels begin at 1.
    """
    for layout, stated in conventions.items():
        yield from stated.get("warnings", ())
        usual = "ratio" if layout == "yolo" else "pixel"
        if stated["units"] != usual:
            yield f"the boxes of the {layout} annotations are read as {_UNITS[stated['units']]}: {stated['evidence']}"
        elif stated["units"] == "pixel" and stated["first_pixel"] == 1 and layout != "voc":
            yield f"the boxes of the {layout} annotations are read as pixels counted from 1: {stated['evidence']}"


def _clipped_warnings(shared: Shared, quarantine: Quarantine) -> Iterator[str]:
    """One where so many boxes were cut that they are likely to mean something else than they were read as."""
    boxes = sum(len(picture.boxes) for pictures in shared.values() for picture in pictures)
    clipped = quarantine.counts(left_out=False).get("box_clipped", 0)
    if clipped and clipped >= CLIPPED_SHARE * boxes:
        hint = (
            "where they are not drawn carelessly, their units, the pictures' sizes or the order of their numbers differ"
        )
        yield f"box_clipped, {_times(clipped)} for {boxes} boxes used: {CODES['box_clipped']}; {hint}"


def _loss_warnings(quarantine: Quarantine) -> Iterator[str]:
    """One for each reason for which something was lost, with what the plan leaves out not counted."""
    lost = Counter(entry.code for entry in quarantine.entries if entry.left_out and not entry.deliberate)
    for code in _WARNED_LOSSES:
        if lost[code]:
            yield f"{code}, left out {_times(lost[code])}: {CODES[code]}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _remark_warnings(quarantine: Quarantine) -> Iterator[str]:
    remarks = quarantine.counts(left_out=False)
    for code in _WARNED_REMARKS:
        if count := remarks.get(code):
            yield f"{code}, {count} {'time' if count == 1 else 'times'}: {CODES[code]}"
