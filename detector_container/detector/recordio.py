"""Read detection records: dmlc RecordIO framing around MXNet's packed labels and a compressed picture.

A record is the magic word, a word holding a continuation flag (3 bits) and a length (29 bits), the payload and padding
to four bytes. Writers cut a payload at each aligned occurrence of the magic word inside it and leave that word out; the
parts carry flags 1, 2…, 3. The payload is `<IfQQ` (number of label floats, 0, id, id2), the floats and the picture. The
floats are a header (its width, the width of an object, …) and then per object class id, xmin, ymin, xmax, ymax as
fractions.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

MAGIC = struct.pack("<I", 0xCED7230A)
_HEADER = struct.Struct("<IfQQ")
_MAX_PAYLOAD = 1 << 29  # what one length can say: a record of more parts than that is damaged, not large


class ByteStream(Protocol):
    """A file or pipe that is read from the front."""

    def read(self, size: int, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""


class FramingError(ValueError):
    """The bytes are not RecordIO, or end within a record; where the next record begins is unknown."""


class LabelError(ValueError):
    """A record's label makes no sense; the records behind it can be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """One picture with its boxes: rows of class id, xmin, ymin, xmax, ymax (fractions)."""

    labels: npt.NDArray[np.float32]  # (M, 5)
    picture: bytes
    label_width: int  # the label's values in all, its header among them


def read_payload(stream: ByteStream) -> bytes | None:
    """Return the payload of the record that begins here, None at the end; raise FramingError."""
    parts: list[bytes] = []
    total = 0
    while True:
        head = stream.read(8)
        if not head and not parts:
            return None
        if len(head) < 8 or head[:4] != MAGIC:
            raise FramingError("the data are not RecordIO or end within a record")
        word = struct.unpack("<I", head[4:])[0]
        flag, length = word >> 29, word & 0x1FFFFFFF
        body = stream.read(-(-length // 4) * 4)
        if len(body) < length:
            raise FramingError("the data end within a record")
        parts.append(body[:length])
        if flag in (0, 3):
            return MAGIC.join(parts)
        total += length + len(MAGIC)
        if total > _MAX_PAYLOAD:
            raise FramingError(f"a record has more than {_MAX_PAYLOAD:,} bytes")


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
    return Record(labels, payload[end:], count)
