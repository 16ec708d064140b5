"""No file is lost: every file of the input is used, or is named in quarantine.jsonl.

Told from the outside: what went in is listed with the standard library's own readers, what came out is read from the
outputs and the report. Nothing of preparation's code is asked, except to read its RecordIO files.
"""

from __future__ import annotations

import io
import json
import math
import re
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from prep.recordio import read_records, unpack

SIDES = ("train", "validation", "test")
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_ANNOTATIONS = (".xml", ".txt", ".json", ".jsonl", ".manifest")
_NAMES = re.compile(r"(classes\.txt|.*\.names|.*\.ya?ml|.*\.data|(_darknet\.)?labels\.txt)", re.IGNORECASE)
_LIST = re.compile(r"(.*/)?((list|train|val|validation|trainval|test)\.txt|imagesets/main/[^/]*\.txt)", re.IGNORECASE)
_AT_THE_DOOR = ("unsupported_file", "unsupported_image", "unsafe_member", "file_too_large")
_ITEM = re.compile(r" \([^()]*\)$")  # of a file that describes many pictures
_PUBLISHED = re.compile(r"(.*)-[0-9a-f]{12}\.jpg")


@dataclass(slots=True)
class Input:
    """One file that went in, by its path with every archive unpacked in place."""

    path: str
    data: bytes

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_picture(self) -> bool:
        webp = self.data[:4] == b"RIFF" and self.data[8:12] == b"WEBP"
        bitmap = self.data[:2] == b"BM" and self.data[15:18] == b"\0\0\0"
        return webp or bitmap or self.data.startswith(_SIGNATURES) or self.name.lower().endswith(_PICTURES)

    @property
    def descriptions(self) -> int:
        """Of how many pictures an annotation file says something; 0 where that can't be told from here."""
        if self.name.lower().endswith((".xml", ".txt")):
            return 1
        if self.name.lower().endswith((".manifest", ".jsonl")):
            return sum(bool(line.strip()) for line in self.data.split(b"\n"))
        try:
            document = json.loads(self.data)
        except (ValueError, RecursionError):
            return 0
        images = document.get("images") if isinstance(document, dict) else None
        if not isinstance(images, list):
            return 1
        return len({_identity(image.get("id") if isinstance(image, dict) else None) for image in images})

    @property
    def published_stem(self) -> str:
        """The beginning of the name that a used picture gets in the output."""
        head, dot, _ = self.name.rpartition(".")
        return re.sub(r"[^A-Za-z0-9_-]+", "_", head if dot and head else self.name)[:60]


def _identity(value: Any) -> Any:
    """An image's id as it is compared: 0, 0.0 and -0.0 are one."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole or (isinstance(value, float) and math.isfinite(value)) else repr(value)


def _plain(path: str) -> str:
    """A path as it is compared: composed Unicode, no empty or "." parts, no zero bytes."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\\", "/").replace("\0", "?")
    return "/".join(part for part in unicodedata.normalize("NFC", text).split("/") if part not in ("", "."))


def inputs(dataset: Path) -> list[Input]:
    """Every file below a folder, the archives replaced by their members."""
    found = []
    for path in sorted(dataset.rglob("*")):
        if path.is_dir():
            continue
        relative = path.relative_to(dataset).as_posix()
        if path.name.lower().endswith(_ARCHIVES) and not path.name.startswith("._"):
            folder = relative.rpartition("/")[0]
            found += [Input(_plain(f"{folder}/{_plain(name) or '?'}"), data) for name, data in _members(path)]
        else:
            found.append(Input(_plain(relative), path.read_bytes()))
    return found


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with archive.open("rb") as stream:
        is_zip = stream.read(2) == b"PK"
    if is_zip:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.filename or not info.is_dir():
                    yield info.filename, _content(opened, info)
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            if not member.isdir():
                body = packed.extractfile(member) if member.isreg() else None
                yield member.name, body.read() if body else b""


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes; none of one that preparation refused by its name, and so never came to read."""
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError):
        return b""


@dataclass(slots=True)
class Output:
    """What a preparation left."""

    report: dict[str, Any]
    quarantine: list[dict[str, Any]]
    published: dict[str, set[str]] = field(default_factory=dict)  # side -> names of pictures

    @classmethod
    def read(cls, prepared: Path, report: Path) -> Output:
        lines = (report / "quarantine.jsonl").read_text(encoding="utf-8").split("\n")
        output = cls(json.loads((report / "report.json").read_bytes()), [json.loads(line) for line in lines if line])
        for side in SIDES:
            names = {path.name for path in (prepared / side).rglob("*.jpg")}
            for lst in (prepared / side).glob("*.lst"):
                names |= {line.rpartition("\t")[2] for line in lst.read_text(encoding="utf-8").split("\n") if line}
            output.published[side] = names
        return output


def problems(dataset: Path, prepared: Path, report: Path) -> list[str]:
    """What is wrong with a finished preparation: lost files, counts that don't agree, outputs that can't be read."""
    output = Output.read(prepared, report)
    return [*_unequal_counts(output), *lost(inputs(dataset), output), *_unreadable(output, prepared)]


def lost(files: list[Input], output: Output) -> list[str]:
    """The files that are neither used nor in the quarantine, each with a word on why it can't have been used."""
    remaining = _not_left_out(files, output)
    used = Counter(match[1] for names in output.published.values() for n in names if (match := _PUBLISHED.fullmatch(n)))
    pictures = Counter(file.published_stem for file in remaining if file.is_picture)
    missing = [
        f"picture {stem}.*: {count} in, {used[stem]} used" for stem, count in pictures.items() if used[stem] < count
    ]
    surplus = [
        f"picture {stem}.*: {pictures[stem]} in, {count} used" for stem, count in used.items() if pictures[stem] < count
    ]
    others = [file for file in remaining if not file.is_picture]
    others = [file for file in others if file.path != "training.json" and not _is_list_or_names(file)]
    read = tuple(file for file in others if file.name.lower().endswith(_ANNOTATIONS))
    unread = [f"{file.path}: nothing reads such a file" for file in others if file not in read]
    # Whatever an annotation says of a picture is used with that picture, or not at all and then named.
    mentions = _mentions(output, {file.path for file in files})
    silent = [(file.descriptions - mentions[file.path], file.path) for file in read]
    excess = sum(max(0, count) for count, _ in silent) - sum(used.values())
    example = max(silent, default=(0, ""))[1]
    unused = [f"{excess} annotations are neither used nor named, perhaps in {example}"] if excess > 0 else []
    return [*missing, *surplus, *unread, *unused]


def _mentions(output: Output, own: set[str]) -> Counter[str]:
    """How many entries of each annotation file are named as left out: by themselves, or with their pictures."""
    named = {
        (entry["file"], entry.get("item"), entry.get("annotation"))
        for entry in output.quarantine
        if (entry.get("left_out", True) or entry["code"] == "merged_annotation") and "box" not in entry
    }
    of_items = [name for name, item, _ in named if item is not None]
    of_pictures = [_ITEM.sub("", annotation) for _, _, annotation in named if annotation is not None]
    return Counter(_original(_plain(path), own) for path in (*of_items, *of_pictures))


def _not_left_out(files: list[Input], output: Output) -> list[Input]:
    """The files without an entry of their own. Files that share a path are told apart by what they are renamed to."""
    left_out = Counter[str]()
    own = {file.path for file in files}
    # Files that are refused at the door have an entry each; the others are told apart, and may have several.
    at_the_door = [entry["file"] for entry in output.quarantine if entry["code"] in _AT_THE_DOOR]
    inside = {entry["file"] for entry in output.quarantine if _whole(entry)} - set(at_the_door)
    inside |= {entry["annotation"] for entry in output.quarantine if "annotation" in entry and "item" not in entry}
    for path in (*at_the_door, *inside):
        left_out[_original(_plain(path), own)] += 1
    remaining = []
    for file in files:
        if left_out[file.path]:
            left_out[file.path] -= 1
        else:
            remaining.append(file)
    return remaining


def _whole(entry: dict[str, Any]) -> bool:
    return entry.get("left_out", True) and "box" not in entry and "item" not in entry


def _original(path: str, own: set[str]) -> str:
    """The path that a file had before preparation told it apart from another one of the same path."""
    for candidate in (path, re.sub(r" \(\d+\)$", "", path)):
        if candidate in own:
            return candidate
        head, mark, tail = candidate.partition("/")
        while mark:
            if head.lower().endswith(_ARCHIVES) and tail in own:
                return tail
            more, mark, tail = tail.partition("/")
            head = f"{head}/{more}"
    return path


def _is_list_or_names(file: Input) -> bool:
    return bool(_NAMES.fullmatch(file.name) or _LIST.fullmatch(file.path))


def _unequal_counts(output: Output) -> Iterator[str]:
    images = output.report["images"]
    if images["found"] != images["used"] + images["left_out"]:
        yield f"the report's own counts don't agree: {images}"
    for side in SIDES:
        stated, written = output.report["splits"][side]["images"], len(output.published[side])
        if stated != written:
            yield f"{side}: the report says {stated} pictures, {written} are written"
    if images["used"] != sum(map(len, output.published.values())):
        yield f"the report says {images['used']} pictures are used, {output.published} are written"
    codes = Counter(entry["code"] for entry in output.quarantine if entry.get("left_out", True))
    if dict(codes) != output.report["left_out"]:
        yield f"left_out is {output.report['left_out']}, quarantine.jsonl has {dict(codes)}"


def _unreadable(output: Output, prepared: Path) -> Iterator[str]:
    """Outputs that a training or a scoring would stumble over."""
    classes = len(output.report["classes"])
    for side in SIDES:
        for path in (prepared / side).rglob("*.jpg"):
            yield from _bad_picture(path.name, path.read_bytes())
        for path in (prepared / side).glob("*.rec"):
            for payload in read_records(path):
                record = unpack(payload)
                yield from _bad_picture(f"{path.name} {record.record_id}", record.image)
                yield from _bad_boxes(f"{path.name} {record.record_id}", list(record.label[2:]), classes)
    for name, truth in json.loads((prepared / "test" / "truth.json").read_bytes())["images"].items():
        keys = ("class_id", "xmin", "ymin", "xmax", "ymax")
        yield from _bad_boxes(name, [box[key] for box in truth["boxes"] for key in keys], classes)


def _bad_picture(name: str, data: bytes) -> Iterator[str]:
    with Image.open(io.BytesIO(data)) as picture:
        if (picture.format, picture.mode) != ("JPEG", "RGB"):
            yield f"{name} is written as {picture.format} {picture.mode}"


def _bad_boxes(name: str, values: list[float], classes: int) -> Iterator[str]:
    for at in range(0, len(values), 5):
        class_id, xmin, ymin, xmax, ymax = values[at : at + 5]
        if not (0 <= class_id < classes and 0 <= xmin < xmax <= 1 and 0 <= ymin < ymax <= 1):
            yield f"{name} has the box {values[at : at + 5]}"
    if not values:
        yield f"{name} has no box"
