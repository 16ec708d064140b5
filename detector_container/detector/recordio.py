"""Read detection records: dmlc RecordIO framing around MXNet's packed labels and a compressed picture.

A record is the magic word, a word holding a continuation flag (3 bits) and a length (29 bits), the payload and padding
to four bytes. Writers cut a payload at each aligned occurrence of the magic word inside it and leave that word out; the
parts carry flags 1, 2…, 3. The payload is `<IfQQ` (number of label floats, 0, id, id2), the floats and the picture. The
floats are a header (its width, the width of an object, …) and then per object class id, xmin, ymin, xmax, ymax as
fractions.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_HEADER = struct.Struct("<IfQQ")


class CorruptRecordError(ValueError):
    """A record cannot be read. `resumable`: the framing is whole, so the records behind it can."""

    def __init__(self, reason: str, *, resumable: bool) -> None:
        super().__init__(reason)
        self.resumable = resumable


@dataclass(frozen=True, slots=True)
class Record:
    """One picture with its boxes: rows of class id, xmin, ymin, xmax, ymax (fractions)."""

    labels: npt.NDArray[np.float32]  # (M, 5)
    picture: bytes


def read_records(path: Path) -> Iterator[Record | CorruptRecordError]:
    """Yield each record of the file in order, or the error that stands in its place.

    Ends after one that is not resumable.
    """
    with path.open("rb") as stream:
        while True:
            try:
                payload = _read_payload(stream)
                if payload is None:
                    return
                yield parse_record(payload)
            except CorruptRecordError as error:
                yield error
                if not error.resumable:
                    return


def parse_record(payload: bytes) -> Record:
    """Return the record in a payload; raise CorruptRecordError where its labels make no sense."""
    if len(payload) < _HEADER.size:
        raise CorruptRecordError("a record is shorter than its header", resumable=True)
    count = _HEADER.unpack_from(payload)[0]
    end = _HEADER.size + 4 * count
    if count < 2 or end > len(payload):
        raise CorruptRecordError(f"a record announces {count} label values", resumable=True)
    values = np.frombuffer(payload[_HEADER.size : end], "<f4")
    header, width = int(values[0]), int(values[1])
    if header < 2 or width < 5 or header > count or (count - header) % width:
        raise CorruptRecordError(
            f"a record's label has header width {values[0]:g}, object width {values[1]:g}, {count} values",
            resumable=True,
        )
    labels = values[header:].reshape(-1, width)[:, :5].astype(np.float32)
    if not np.isfinite(labels).all():
        raise CorruptRecordError("a record's label is not a finite number", resumable=True)
    return Record(labels, payload[end:])


def _read_payload(stream: BinaryIO) -> bytes | None:
    parts: list[bytes] = []
    while True:
        head = stream.read(8)
        if not head and not parts:
            return None
        if len(head) < 8 or head[:4] != _MAGIC_BYTES:
            raise CorruptRecordError("the file is not RecordIO or ends within a record", resumable=False)
        word = struct.unpack("<I", head[4:])[0]
        flag, length = word >> 29, word & 0x1FFFFFFF
        padded = -(-length // 4) * 4
        body = stream.read(padded)
        if len(body) < length:
            raise CorruptRecordError("the file ends within a record", resumable=False)
        parts.append(body[:length])
        if flag in (0, 3):
            return _MAGIC_BYTES.join(parts)
