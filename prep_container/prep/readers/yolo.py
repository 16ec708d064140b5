"""YOLO labels: one text per picture, a line per object, boxes as centre and size in fractions of the picture."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from prep.model import Annotation, Kind, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.readers.fields import MAX_BOXES, Corners, Faults, shown
from prep.readers.yolo_names import NamesFile, NamesInForce, read_names
from prep.readers.yolo_parts import YoloParts
from prep.readers.yolo_pose import KeyPoints

MAX_LABEL_BYTES = 32 << 20
_MAX_CLASS_ID = 1_000_000
_HINT = "and nothing says that key points follow a box: if they do, state kpt_shape in a data.yaml"


class YoloReader:
    """Reads `class cx cy w h` lines, polygons as the box around them, and boxes followed by key points as the box.

    A sixth number from 0 to 1 is the confidence of a detector and passed over. The corners keep the unit of the
    label, which need not be the fraction that the layout prescribes. A text is a label where every line is shaped like
    one; where a picture has its name, damaged lines are left out singly, and an empty text says: no object.
    """

    layout = "yolo"

    def read(
        self, files: Sequence[SourceFile], dataset: Sequence[SourceFile], quarantine: Quarantine
    ) -> list[Annotation]:
        configs = read_names([file for file in files if file.kind is Kind.NAMES], quarantine)
        parts = YoloParts(configs, dataset if files else ())
        names = NamesInForce(configs)
        stems = {_fold(file.stem) for file in dataset if file.kind is Kind.PICTURE} if files else set()
        without_name: dict[str, set[int]] = defaultdict(set)
        annotations, nameless = [], ""
        labels = [file for file in files if file.kind is not Kind.NAMES and file.path not in parts.used]
        pose = _key_points([file for file in labels if _fold(file.stem) in stems])
        if labels and not any(config.pose_values for config in configs):
            pose.remark(labels[0], quarantine)
        for file in labels:
            lines = _lines(file, _fold(file.stem) in stems, quarantine)
            if lines is None:
                continue
            given = names.of(file)
            nameless = nameless or ("" if given or not lines else file.path)
            faults = Faults(file)
            boxes = _boxes(lines, given, pose.values, faults, without_name)
            faults.report(quarantine)
            part, *others = sorted(parts.of(file)) or [""]
            annotations.append(
                Annotation(file, "", None, tuple(boxes), self.layout, part, other_parts=frozenset(others))
            )
        _remark(nameless, without_name, quarantine)
        names.remark(quarantine)
        for config in configs:
            if config.file.path not in names.used | parts.used:
                reason = "it names classes for YOLO labels, and no label takes its names from it"
                quarantine.leave_out(config.file.path, "unsupported_file", reason, deliberate=True)
        return annotations


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: its numbers, or none where it is not shaped like an object."""

    text: str
    values: tuple[float, ...]


def _read(file: SourceFile) -> list[_Line]:
    """The lines that are not blank."""
    try:
        content = file.beginning(MAX_LABEL_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        content = "\0"
    return [_line(row) for row in [row for row in content.splitlines() if row.strip()][: MAX_BOXES + 1]]


def _key_points(labels: Sequence[SourceFile]) -> KeyPoints:
    """Whether key points follow the boxes of these labels, found out from as many of their lines as that takes."""
    found = KeyPoints()
    for file in labels:
        if not all(found.take(line.values[1:]) for line in _read(file) if line.values):
            return KeyPoints()
    found.decide()
    return found


def _lines(file: SourceFile, has_picture: bool, quarantine: Quarantine) -> list[_Line] | None:
    """The lines of a label that are not blank; None where the text is no label, which is then left out by name."""
    lines = _read(file)
    shaped = sum(bool(line.values) for line in lines)
    is_label = bool(shaped) and shaped == len(lines)
    if not is_label and not (has_picture and (shaped or not lines)):
        reason = "a text that is empty" if not lines else "a text whose lines are no YOLO objects"
        quarantine.leave_out(file.path, "unsupported_file", f"{reason}, nor a list or names of classes by its name")
    elif len(lines) > MAX_BOXES:
        quarantine.leave_out(file.path, "too_many_boxes", f"it has more than {MAX_BOXES} boxes")
    else:
        return lines
    return None


def _line(row: str) -> _Line:
    """A row of numbers with a class id first, as many as some kind of label has."""
    words = row.split()
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        return _Line(row, ())
    shaped = len(values) >= 5 and values[0].is_integer() and 0 <= values[0] <= _MAX_CLASS_ID
    return _Line(row, values if shaped else ())


def _boxes(
    lines: Sequence[_Line],
    given: NamesFile | None,
    pose_values: int,
    faults: Faults,
    without_name: dict[str, set[int]],
) -> list[StatedBox]:
    """The boxes of a label; `pose_values` holds where no file states it."""
    pose_values = (given.pose_values if given else 0) or pose_values
    boxes = []
    for index, line in enumerate(lines):
        try:
            edges = _corners(line, pose_values)
        except ValueError as error:
            faults.add(f"object {index}: {error}", box=index)
            continue
        number = int(line.values[0])
        name = given.names.get(number, "") if given else str(number)
        if given and not name:
            without_name[given.file.path].add(number)
            faults.add(f"object {index}: class id {number} has no name in {given.file.path}", box=index)
        else:
            boxes.append(StatedBox(index, name, *edges))
    return boxes


def _corners(line: _Line, pose_values: int) -> Corners:
    """The box of a line in the line's own units; ValueError says why there is none."""
    values = line.values[1:]
    if not values:
        raise ValueError(f"{shown(line.text.strip())} is not a class id and numbers")
    if not all(map(math.isfinite, values)):
        raise ValueError("one of its numbers is not finite")
    if pose_values and len(values) == 4 + pose_values:
        values = values[:4]
    if len(values) == 5:
        if not 0 <= values[4] <= 1:
            raise ValueError(f"its sixth number, {values[4]:g}, is no confidence")
        values = values[:4]
    if len(values) == 4:
        x, y, w, h = values
        edges = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    elif pose_values:
        reason = f"a box nor one with {pose_values} values of key points, as kpt_shape or the other labels have them"
        raise ValueError(f"{len(values) + 1} numbers are neither {reason}")
    elif len(values) % 2 == 0:
        edges = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    else:
        raise ValueError(f"{len(values) + 1} numbers are neither a box nor a polygon, {_HINT}")
    if not all(map(math.isfinite, edges)):
        raise ValueError("one of its edges is not finite")
    return edges


def _remark(nameless: str, without_name: dict[str, set[int]], quarantine: Quarantine) -> None:
    if nameless:
        reason = "no file names the classes of the YOLO labels; their ids are the names"
        quarantine.remark(nameless, "class_id_mismatch", reason)
    for path, numbers in sorted(without_name.items()):
        ids = ", ".join(map(str, sorted(numbers)[:10]))
        quarantine.remark(path, "class_id_mismatch", f"labels use the class ids {ids}, which it does not name")
