"""The RecordIO format of MXNet detection data, read and written without MXNet.

A record on disk (little-endian): magic word, a word with a 3-bit flag and a 29-bit length, the payload, zeros up to a
multiple of four bytes. A payload that holds the magic word at a multiple of four is cut there: the parts carry the
flags 1 (first), 2 (middle) and 3 (last), the word itself is not written and the reader puts it back. A payload here is
a header `<IfQQ` (number of label floats, 0.0, id, second id), the label floats, and the picture's bytes.

Follows the behaviour of dmlc-core's RecordIOWriter and of mxnet.recordio 1.9.1; a test compares the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

_MAGIC_WORD = 0xCED7230A
MAGIC = struct.pack("<I", _MAGIC_WORD)
MAX_LENGTH = (1 << 29) - 1
_HEADER = struct.Struct("<IfQQ")


@dataclass(frozen=True, slots=True)
class DetectionRecord:
    """One picture of a record file: its id, the label floats as stored, and the encoded picture."""

    record_id: int
    label: tuple[float, ...]
    image: bytes


def pack(record_id: int, label: Sequence[float], image: bytes) -> bytes:
    """The payload that `mxnet.recordio.pack(IRHeader(0, label, record_id, 0), image)` makes."""
    return _HEADER.pack(len(label), 0.0, record_id, 0) + struct.pack(f"<{len(label)}f", *label) + image


def unpack(payload: bytes) -> DetectionRecord:
    """Undo `pack`. The floats come back as the nearest 32-bit ones."""
    count, _, record_id, _ = _HEADER.unpack_from(payload)
    image_start = _HEADER.size + 4 * count
    return DetectionRecord(record_id, struct.unpack_from(f"<{count}f", payload, _HEADER.size), payload[image_start:])


def frame(payload: bytes) -> bytes:
    """The bytes of one record, cut wherever the payload holds the magic word at a multiple of four."""
    if len(payload) > MAX_LENGTH:
        raise ValueError(f"a record holds at most {MAX_LENGTH} bytes, not {len(payload)}")
    # Compared word by word: searching the bytes takes ten times as long.
    words = np.frombuffer(payload, dtype="<u4", count=len(payload) // 4)
    cuts = [4 * int(at) for at in np.flatnonzero(words == _MAGIC_WORD)]
    pieces, start = [], 0
    for cut in cuts:
        pieces += [MAGIC, _length(1 if start == 0 else 2, cut - start), payload[start:cut]]
        start = cut + 4
    pieces += [MAGIC, _length(3 if cuts else 0, len(payload) - start), payload[start:], bytes(-len(payload) % 4)]
    return b"".join(pieces)


def _length(flag: int, length: int) -> bytes:
    return struct.pack("<I", flag << 29 | length)


class RecordWriter:
    """Writes `<name>.rec` and its index `<name>.idx` (lines of key, tab, byte offset)."""

    def __init__(self, rec: Path, idx: Path) -> None:
        self._rec: BinaryIO = rec.open("wb")
        self._idx = idx.open("w", encoding="ascii", newline="\n")

    def write(self, key: int, payload: bytes) -> None:
        self._idx.write(f"{key}\t{self._rec.tell()}\n")
        self._rec.write(frame(payload))

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rec.close()
        self._idx.close()


def read_records(path: Path) -> Iterator[bytes]:
    """The payloads of a record file in order. Raises ValueError where the file is not well formed."""
    with path.open("rb") as rec:
        parts: list[bytes] = []
        while head := rec.read(8):
            if len(head) < 8 or head[:4] != MAGIC:
                raise ValueError(f"{path.name}: no record begins at byte {rec.tell() - len(head)}")
            word = int.from_bytes(head[4:], "little")
            flag, length = word >> 29, word & MAX_LENGTH
            if (flag in (0, 1)) == bool(parts) or flag > 3:
                raise ValueError(f"{path.name}: the parts of a record are out of order")
            padded = rec.read(length + -length % 4)
            if len(padded) < length + -length % 4:
                raise ValueError(f"{path.name}: the last record is cut off")
            parts.append(padded[:length])
            if flag in (0, 3):
                yield MAGIC.join(parts)
                parts = []
        if parts:
            raise ValueError(f"{path.name}: the last record has no end")
