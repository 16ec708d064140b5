"""The JSON that says where the objects of one picture are, in annotation documents and in augmented manifests.

{"image_size": [{"width", "height", "depth"}], "annotations": [{"class_id", "left", "top", "width", "height"}, …]}, in
pixels with the origin top left, as the developer guide's page on the Object Detection algorithm gives it. Other keys
(`file`, `categories`, Ground Truth's own) are passed over.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_MAX_DOCUMENT_BYTES = 16 << 20  # of some 100,000 boxes; what is longer is not read into objects
_HEADER_WIDTH, _OBJECT_WIDTH = 2, 5  # a RecordIO label's


class AnnotationError(ValueError):
    """The JSON says nothing that can be trained on; the message is why."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """The objects of one picture: rows of class id, xmin, ymin, xmax, ymax as fractions of `size` (width, height)."""

    labels: npt.NDArray[np.float32]
    size: tuple[float, float]
    file: Any  # as the document has it

    @property
    def label_width(self) -> int:
        """Return how many values the same label has in a RecordIO file."""
        return _HEADER_WIDTH + _OBJECT_WIDTH * len(self.labels)


def parse_annotation(text: bytes) -> Annotation:
    """Return what an annotation's JSON says; raise AnnotationError where it isn't one."""
    if len(text) > _MAX_DOCUMENT_BYTES:
        raise AnnotationError(f"its annotation has {len(text):,} bytes, more than {_MAX_DOCUMENT_BYTES:,}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError("its annotation is not JSON") from error
    if not isinstance(document, dict):
        raise AnnotationError("its annotation is not a JSON object")
    width, height = _size(document.get("image_size"))
    objects = document.get("annotations")
    if not isinstance(objects, list):
        raise AnnotationError("its annotation has no list named annotations")
    rows = [_row(number, item, width, height) for number, item in enumerate(objects)]
    with np.errstate(over="ignore"):
        labels = np.array(rows, np.float32).reshape(-1, _OBJECT_WIDTH)
    if not np.isfinite(labels).all():
        raise AnnotationError("a number of its annotation is too large")
    return Annotation(labels, (width, height), document.get("file"))


def _size(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise AnnotationError("its image_size is not a list of one object")
    width, height = (_number(value[0].get(name)) for name in ("width", "height"))
    if width is None or height is None or width <= 0 or height <= 0:
        raise AnnotationError("its image_size has no width and height above 0")
    return width, height


def _row(number: int, item: Any, width: float, height: float) -> tuple[float, ...]:
    names = ("class_id", "left", "top", "width", "height")
    values = [_number(item.get(name)) for name in names] if isinstance(item, dict) else [None]
    for name, value in zip(names, values, strict=False):
        if value is None:
            raise AnnotationError(f"object {number} of its annotation has no number {name}")
    class_id, left, top, box_width, box_height = (value for value in values if value is not None)
    if not class_id.is_integer():
        raise AnnotationError(f"object {number} of its annotation has class_id {class_id:g}")
    return class_id, left / width, top / height, (left + box_width) / width, (top + box_height) / height


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
