"""Pascal VOC XML: one file per picture, boxes in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from prep.model import Annotation, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.readers.fields import MAX_BOXES

MAX_XML_BYTES = 8 << 20
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocReader:
    """Reads `<annotation>` documents as LabelImg, the Oxford pets and VOC itself write them."""

    layout = "voc"

    def read(
        self,
        files: Sequence[SourceFile],
        dataset: Sequence[SourceFile],  # noqa: ARG002  # an annotation says everything itself
        quarantine: Quarantine,
    ) -> list[Annotation]:
        annotations = []
        for file in files:
            try:
                root = _parse(file)
            except ValueError as error:
                quarantine.leave_out(file.path, "bad_annotation", str(error))
                continue
            if root.tag != "annotation":
                quarantine.leave_out(file.path, "unsupported_file", f"XML, but of <{root.tag[:80]}>, not <annotation>")
                continue
            objects = root.findall("object")
            if len(objects) > MAX_BOXES:
                reason = f"it has {len(objects)} boxes; more than {MAX_BOXES} are not believed"
                quarantine.leave_out(file.path, "too_many_boxes", reason)
                continue
            annotations.append(_annotation(file, root, objects, quarantine))
        return annotations


def _parse(file: SourceFile) -> Element:
    data = file.beginning(MAX_XML_BYTES + 1)
    if len(data) > MAX_XML_BYTES:
        raise ValueError(f"larger than {MAX_XML_BYTES >> 20} MiB")
    try:
        root: Element = fromstring(data)
    except ParseError as error:
        raise ValueError(f"not well-formed XML: {error}") from error
    except DefusedXmlException as error:
        raise ValueError(f"XML that defines entities is refused ({type(error).__name__})") from error
    except LookupError as error:
        raise ValueError(f"XML in an encoding that is not known: {error}") from error
    return root


def _annotation(file: SourceFile, root: Element, objects: Sequence[Element], quarantine: Quarantine) -> Annotation:
    boxes = []
    for index, item in enumerate(objects):
        try:
            boxes.append(_box(index, item))
        except ValueError as error:
            quarantine.leave_out(file.path, "bad_annotation", f"object {index}: {error}", box=index)
    return Annotation(file, _text(root, "filename"), _size(root), tuple(boxes))


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _box(index: int, item: Element) -> StatedBox:
    name = _text(item, "name")
    if not name:
        raise ValueError("it has no name")
    if len(item.findall("bndbox")) > 1:
        raise ValueError("it has several boxes, and nothing says which one to take")
    xmin, ymin, xmax, ymax = (_number(item, corner) for corner in _CORNERS)
    return StatedBox(index, name, xmin, ymin, xmax, ymax, _flag(item, "difficult"), _flag(item, "truncated"))


def _flag(item: Element, name: str) -> bool:
    return _text(item, name).lower() in ("1", "true")


def _number(item: Element, corner: str) -> float:
    text = _text(item, f"bndbox/{corner}")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"its {corner} is {text[:40]!r}, not a number")
    return value


def _size(root: Element) -> tuple[int, int] | None:
    """Width and height as the annotation claims them; None where they are missing, zero or nonsense."""
    try:
        width, height = (int(float(_text(root, f"size/{side}"))) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None
