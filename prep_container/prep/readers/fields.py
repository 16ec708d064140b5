"""Single values of annotation documents, checked: numbers, ids, names, sizes; and the faults found on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prep.model import SourceFile, stem
from prep.quarantine import Quarantine

MAX_BOXES = 10_000  # for one picture; what has more is no annotation of objects that anyone drew
MAX_ENTRIES = 5_000_000  # pictures that the files of one layout describe; each takes about a kilobyte of memory
MAX_OBJECTS = 20_000_000  # in one file
MAX_NAMED_FAULTS = 1_000  # of one file; a file of millions of faults must not fill the memory
_MAX_NAME = 4096
_PARTS = {
    "train": "train",
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testdev"), "test"),
}
Id = int | str
Corners = tuple[float, float, float, float]


def number(value: object) -> float | None:
    """`value` as a finite number; None for anything else, text and truth values included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def corners(left: object, top: object, width: object, height: object) -> Corners:
    """xmin, ymin, xmax and ymax of a box stated by its top left corner and its size; ValueError says what is wrong."""
    sides = {"left": left, "top": top, "width": width, "height": height}
    stated = {name: number(value) for name, value in sides.items()}
    for name, value in stated.items():
        if value is None:
            raise ValueError(f"its {name} is {shown(sides[name])}, not a finite number")
    x, y, w, h = (value for value in stated.values() if value is not None)
    if not math.isfinite(x + w) or not math.isfinite(y + h):
        raise ValueError("its right or lower edge is no finite number")
    return x, y, x + w, y + h


def identifier(value: object) -> Id | None:
    """An id as data sets give them: a whole number (1.0 is 1) or a text; None for anything else."""
    if isinstance(value, str):
        return text(value) or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) < 1 << 63 else None


def class_id(value: object) -> int | None:
    """A class id: a whole number from 0; None for anything else."""
    found = None if isinstance(value, str) else identifier(value)
    return found if isinstance(found, int) and 0 <= found < 1 << 31 else None


def text(value: object) -> str:
    """`value` without surrounding space if it is a text that can be written as UTF-8; "" for anything else."""
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value.strip()


def size(width: object, height: object) -> tuple[int, int] | None:
    """Width and height as claimed; None where they are missing, zero or nonsense."""
    sides = number(width), number(height)
    if sides[0] is None or sides[1] is None or not (1 <= sides[0] < 1 << 31 and 1 <= sides[1] < 1 << 31):
        return None
    return int(sides[0]), int(sides[1])


def class_names(value: object) -> dict[int, str]:
    """The names in a mapping of ids, written as texts, to names; what is neither is passed over."""
    if not isinstance(value, Mapping):
        return {}
    pairs = ((key.strip(), text(name)) for key, name in value.items() if isinstance(key, str))
    return {int(key): name for key, name in pairs if name and key.isascii() and key.isdecimal() and len(key) < 10}


def part_of(name: str) -> str:
    """The side that a file's name speaks of (`instances_val2017.json`), or "" where it names none or several."""
    words = re.split(r"[^a-z]+", stem(name).lower())
    named = {_PARTS[word] for word in words if word in _PARTS}
    return named.pop() if len(named) == 1 else ""


def shown(value: object) -> str:
    """A value for a sentence: short, and safe to print whatever it holds."""
    for kind, words in ((dict, "an object"), (list, "a list"), (type(None), "missing")):
        if isinstance(value, kind):
            return words
    return repr(value)[:60]


def too_many(entries: int, objects: int) -> str:
    """Why a file that describes so many pictures and objects is not read on, or ""."""
    if entries > MAX_ENTRIES:
        return f"with it more than {MAX_ENTRIES:,} pictures are described"
    return f"it has more than {MAX_OBJECTS:,} objects" if objects > MAX_OBJECTS else ""


@dataclass(slots=True)
class Faults:
    """What cannot be used of one file: the first thousand by name, the others as a number.

    Nothing reaches the quarantine before `report`, so that a file refused as a whole gets one entry and no more.
    """

    file: SourceFile
    _named: list[dict[str, Any]] = field(default_factory=list)
    _further: int = 0

    def __len__(self) -> int:
        return len(self._named) + self._further

    def add(self, reason: str, *, code: str = "bad_annotation", box: int | None = None, item: str = "") -> None:
        """Note a fault of the file, of the entry `item` or of one box."""
        if len(self._named) < MAX_NAMED_FAULTS:
            self._named.append({"code": code, "reason": reason, "box": box, "item": item})
        else:
            self._further += 1

    def report(self, quarantine: Quarantine) -> None:
        """Hand everything over."""
        for fault in self._named:
            quarantine.leave_out(self.file.path, fault.pop("code"), fault.pop("reason"), **fault)
        if self._further:
            reason = f"another {self._further} of its entries cannot be used; the first {MAX_NAMED_FAULTS} are named"
            quarantine.leave_out(self.file.path, "bad_annotation", reason)
