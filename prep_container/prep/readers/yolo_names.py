"""Where YOLO data sets name their classes: data.yaml, classes.txt, obj.names and their like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from prep.kinds import suffix
from prep.model import SourceFile
from prep.quarantine import Quarantine
from prep.readers.fields import class_names, text

MAX_NAMES_BYTES = 1 << 19
MAX_YAML_BYTES = 4 << 20  # of all such files together; YAML takes a second for each 100 KB that are made to be slow
MAX_YAML_EVENTS = 50_000  # a name with its number are two
MAX_NESTING = 50
_SIDES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class NamesFile:
    """What one file says: the classes' names by id, and in a data.yaml also where each part lies.

    `entries` are (part, path as stated); `root` is what they are relative to as stated ("" for the file's folder).
    `pose_values` is the number of key point values that follow each box, 0 where there are no key points.
    """

    file: SourceFile
    names: dict[int, str]
    entries: tuple[tuple[str, str], ...] = ()
    root: str = ""
    pose_values: int = 0

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(self.file.path.split("/")[:-1])


def read_names(files: Sequence[SourceFile], quarantine: Quarantine) -> list[NamesFile]:
    """Every file that can be read as what its name promises; the others are left out by name."""
    found, yaml_bytes = [], 0
    for file in files:
        try:
            data = file.beginning(MAX_NAMES_BYTES + 1)
            if len(data) > MAX_NAMES_BYTES:
                raise ValueError(f"larger than {MAX_NAMES_BYTES >> 10} KiB")
            content = data.decode("utf-8-sig")
            is_yaml = suffix(file.name) in ("yaml", "yml")
            yaml_bytes += len(data) if is_yaml else 0
            if is_yaml and yaml_bytes > MAX_YAML_BYTES:
                raise ValueError(f"the YAML files up to this one are larger than {MAX_YAML_BYTES >> 20} MiB together")
            names = _from_yaml(file, content, quarantine) if is_yaml else _from_lines(file, content)
        except UnicodeDecodeError:
            quarantine.leave_out(file.path, "bad_annotation", "named like a list of classes, but not UTF-8 text")
        except ValueError as error:
            quarantine.leave_out(file.path, "bad_annotation", str(error))
        else:
            if names:
                found.append(names)
            else:
                reason = "no names of classes in it, nor the folders of a YOLO data set"
                quarantine.leave_out(file.path, "unknown_layout", reason)
    return found


def _from_lines(file: SourceFile, content: str) -> NamesFile | None:
    """One name a line; a blank line inside is an id without a name."""
    names = {number: name for number, line in enumerate(content.rstrip().splitlines()) if (name := text(line))}
    return NamesFile(file, names) if names else None


def _from_yaml(file: SourceFile, content: str, quarantine: Quarantine) -> NamesFile | None:
    document = _document(content)
    if not isinstance(document, dict):
        return None
    stated = document.get("names")
    if isinstance(stated, list):
        stated = {str(number): name for number, name in enumerate(stated)}
    names = class_names(stated)
    entries = tuple((_SIDES[key], path) for key, value in document.items() if key in _SIDES for path in _paths(value))
    if not names and not entries:
        return None
    count = text(document.get("nc"))
    if names and count and count != str(len(names)):
        reason = f"it says nc: {count[:20]}, but names {len(names)} classes"
        quarantine.remark(file.path, "class_id_mismatch", reason)
    return NamesFile(file, names, entries, text(document.get("path")), _pose_values(document.get("kpt_shape")))


def _document(content: str) -> Any:
    """The document with every scalar as the text it is (a class called `no` stays `no`); ValueError if it is none."""
    try:
        return yaml.load(content, Loader=_BoundedLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ValueError(f"not readable as YAML: {problem}") from None


class _BoundedLoader(yaml.BaseLoader):
    """Makes texts, lists and mappings only, and gives up on documents that no list of classes looks like.

    That is less than the safe loader, which makes "no" a truth value.
    """

    def __init__(self, content: str) -> None:
        super().__init__(content)
        self._events = 0
        self._nesting = 0

    def get_event(self) -> Any:
        event = super().get_event()  # type: ignore[no-untyped-call]
        self._events += 1
        self._nesting += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self._nesting > MAX_NESTING:
            raise ValueError("its YAML is nested too deep")
        if self._events > MAX_YAML_EVENTS:
            raise ValueError(f"its YAML has more than {MAX_YAML_EVENTS:,} parts")
        return event


def _paths(value: object) -> list[str]:
    return [path for item in (value if isinstance(value, list) else [value]) if (path := text(item))]


def _pose_values(shape: object) -> int:
    """Points times values per point in `kpt_shape`."""
    if not isinstance(shape, list) or len(shape) != 2 or not all(text(n).isdecimal() and len(n) < 5 for n in shape):
        return 0
    return int(shape[0]) * int(shape[1])


@dataclass(slots=True)
class NamesInForce:
    """Which file names the classes of which folder's labels: the nearest."""

    files: Sequence[NamesFile]
    used: set[str] = field(default_factory=set)
    _by_folder: dict[str, NamesFile | None] = field(default_factory=dict)
    _differing: dict[str, str] = field(default_factory=dict)

    def of(self, label: SourceFile) -> NamesFile | None:
        """The file whose names hold for a label; None where no file names any class."""
        folder = label.path.rpartition("/")[0]
        if folder not in self._by_folder:
            self._by_folder[folder] = self._nearest(tuple(folder.split("/")) if folder else ())
        return self._by_folder[folder]

    def _nearest(self, folders: tuple[str, ...]) -> NamesFile | None:
        ranked = sorted((_distance(names, folders), names.file.path, names) for names in self.files if names.names)
        if not ranked:
            return None
        (best, _, chosen), *others = ranked
        self.used.add(chosen.file.path)
        for distance, path, names in others:
            # One in a folder further up, or as near, could have been meant as well.
            if names.names != chosen.names and (distance[1] == 0 or distance[:2] == best[:2]):
                self._differing[path] = chosen.file.path
        return chosen

    def remark(self, quarantine: Quarantine) -> None:
        """Say which files give other names than the one that was followed."""
        for path, chosen in sorted(self._differing.items()):
            reason = f"it gives other names or another order than {chosen}, which is nearer to its labels and followed"
            quarantine.remark(path, "class_id_mismatch", reason)


def _distance(names: NamesFile, folders: tuple[str, ...]) -> tuple[int, int, int]:
    """How far a file of names is from a folder: fewer leading folders shared, more of its own; data.yaml first."""
    pairs = zip(names.folders, folders, strict=False)
    shared = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(names.folders), len(folders)))
    order = ("yaml", "yml", "names", "labels", "txt")
    return -shared, len(names.folders) - shared, order.index(suffix(names.file.name))
