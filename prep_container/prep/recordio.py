"""Record files of MXNet detection data, written and read back without MXNet; `dropspot.recordio` has the framing.

A payload here is a header `<IfQQ` (number of label floats, 0.0, id, second id), the label floats, and the picture's
bytes, as mxnet.recordio 1.9.1 packs it; a test compares the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from dropspot.recordio import MAGIC_WORD, FramingError, around, frame, read_payload

_HEADER = struct.Struct("<IfQQ")


@dataclass(frozen=True, slots=True)
class DetectionRecord:
    """One picture of a record file: its id, the label floats as stored, and the encoded picture."""

    record_id: int
    label: tuple[float, ...]
    image: bytes


def packed_label(record_id: int, label: Sequence[float]) -> bytes:
    """What stands before the picture in the payload of `mxnet.recordio.pack(IRHeader(0, label, record_id, 0), …)`."""
    return _HEADER.pack(len(label), 0.0, record_id, 0) + struct.pack(f"<{len(label)}f", *label)


def unpack(payload: bytes) -> DetectionRecord:
    """Take a payload apart. The floats come back as the nearest 32-bit ones."""
    count, _, record_id, _ = _HEADER.unpack_from(payload)
    image_start = _HEADER.size + 4 * count
    return DetectionRecord(record_id, struct.unpack_from(f"<{count}f", payload, _HEADER.size), payload[image_start:])


class RecordWriter:
    """Writes `<name>.rec` and its index `<name>.idx` (lines of key, tab, byte offset)."""

    def __init__(self, rec: Path, idx: Path) -> None:
        self._rec: BinaryIO = rec.open("wb")
        self._idx = idx.open("w", encoding="ascii", newline="\n")
        self._at = 0

    def write(self, key: int, *pieces: bytes) -> None:
        """Write a record whose payload comes in pieces."""
        self._idx.write(f"{key}\t{self._at}\n")
        framed: Sequence[bytes]
        if any(len(piece) % 4 for piece in pieces[:-1]) or any(map(_to_be_cut, pieces)):
            framed = (frame(b"".join(pieces)),)
        else:
            before, behind = around(sum(map(len, pieces)))
            framed = (before, *pieces, behind)
        self._rec.writelines(framed)
        self._at += sum(map(len, framed))

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rec.close()
        self._idx.close()


def _to_be_cut(piece: bytes) -> bool:
    """Whether bytes that begin at a multiple of four hold the magic word at one.

    Compared word by word: searching the bytes takes five times as long.
    """
    return bool((np.frombuffer(piece, dtype="<u4", count=len(piece) // 4) == MAGIC_WORD).any())


def read_records(path: Path) -> Iterator[bytes]:
    """The payloads of a record file in order. Raises ValueError where the file is not well formed."""
    with path.open("rb") as rec:
        while True:
            try:
                payload = read_payload(rec)
            except FramingError as error:
                raise ValueError(f"{path.name}, before byte {rec.tell()}: {error}") from error
            if payload is None:
                return
            yield payload
