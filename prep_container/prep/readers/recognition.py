"""Which layout an annotation file is in, told from its content."""

from __future__ import annotations

from dataclasses import dataclass

from prep.kinds import suffix
from prep.model import Kind, SourceFile
from prep.readers.documents import MAX_LINE_BYTES, events, lines, loads

_LINES_LOOKED_AT = 100
_KEYS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """A layout, or "" with the quarantine code and the reason why the file is none that is read."""

    layout: str
    code: str = ""
    reason: str = ""


def layout_of(file: SourceFile) -> Finding:
    """Recognise a file of the kind ANNOTATION or NAMES.

    Any text may be a YOLO label, and any file of names may belong to labels: their reader decides with all at hand.
    """
    if suffix(file.name) == "xml":
        return Finding("voc")
    if file.kind is Kind.NAMES or suffix(file.name) == "txt":
        return Finding("yolo")
    try:
        return Finding("manifest") if _has_manifest_lines(file) else _document(file)
    except ValueError as error:
        return Finding("", "bad_annotation", str(error))


def _has_manifest_lines(file: SourceFile) -> bool:
    """Whether one of the first lines is an object with a `source-ref` (or a `source`, which is refused later)."""
    for looked_at, (_, line) in enumerate(lines(file)):
        if looked_at == _LINES_LOOKED_AT or len(line) > MAX_LINE_BYTES:
            return False
        if b'"source' in line and line.lstrip().startswith(b"{"):
            try:
                entry = loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and ("source-ref" in entry or "source" in entry):
                return True
    return False


def _document(file: SourceFile) -> Finding:
    """The layout of one document, read no further than needed to tell."""
    try:
        return _survey(file, mended=False)
    except ValueError:
        return _survey(file, mended=True)


def _survey(file: SourceFile, *, mended: bool) -> Finding:
    keys: list[str] = []
    depth, key = 0, ""
    for event, value in events(file, mended=mended):
        if event == "map_key":
            if depth == 1:
                key = value
                keys += [key] if len(keys) <= _KEYS_SHOWN or key in _TELLING else []
            elif depth == 3 and key == "annotations" and value in _OF_AN_ANNOTATION:
                return Finding(_OF_AN_ANNOTATION[value])
        elif event in ("start_map", "start_array"):
            if depth == 1 and event == "start_array" and key == "images":
                return Finding("coco")
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
        if not keys and depth == (event == "start_array"):
            return _unknown("JSON, but not an object")
    if "annotations" in keys and ("file" in keys or "image_size" in keys):
        return Finding("sagemaker-json")
    if "source-ref" in keys:
        return _unknown("an augmented manifest holds each object on one line of its own")
    shown = ", ".join(repr(name[:40]) for name in keys[:_KEYS_SHOWN]) or "none"
    return _unknown(f"JSON in none of the layouts read; its keys: {shown}")


_TELLING = frozenset({"annotations", "file", "image_size", "source-ref"})
_OF_AN_ANNOTATION = {"image_id": "coco", "class_id": "sagemaker-json", "left": "sagemaker-json"}


def _unknown(reason: str) -> Finding:
    return Finding("", "unknown_layout", reason)
