"""The payloads of detection records: MXNet's packed labels and a compressed picture.

A payload is `<IfQQ` (number of label floats, 0, id, id2), the floats and the picture. The floats are a header (its
width, the width of an object, …) and then per object class id, xmin, ymin, xmax, ymax as fractions.
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_HEADER = struct.Struct("<IfQQ")


class LabelError(ValueError):
    """A record's label makes no sense; the records behind it can be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """One picture with its boxes: rows of class id, xmin, ymin, xmax, ymax (fractions)."""

    labels: npt.NDArray[np.float32]  # (M, 5)
    picture: bytes
    label_width: int  # the label's values in all, its header among them


def parse_record(payload: bytes) -> Record:
    """Return the record in a payload; raise LabelError where its labels make no sense."""
    if len(payload) < _HEADER.size:
        raise LabelError("a record is shorter than its header")
    count = _HEADER.unpack_from(payload)[0]
    end = _HEADER.size + 4 * count
    if count < 2 or end > len(payload):
        raise LabelError(f"a record announces {count} label values")
    values = np.frombuffer(payload[_HEADER.size : end], "<f4")
    if not np.isfinite(values[:2]).all():
        raise LabelError("a record's label is not a finite number")
    header, width = int(values[0]), int(values[1])
    if header < 2 or width < 5 or header > count or (count - header) % width:
        raise LabelError(f"a record's label has header width {values[0]:g}, object width {values[1]:g}, {count} values")
    labels = values[header:].reshape(-1, width)[:, :5].astype(np.float32)
    if not np.isfinite(labels).all():
        raise LabelError("a record's label is not a finite number")
    classes = labels[:, 0]
    if (fractional := classes[classes != np.trunc(classes)]).size:
        raise LabelError(f"a record's label has class id {fractional[0]:g}, which is no whole number")
    return Record(labels, payload[end:], count)
