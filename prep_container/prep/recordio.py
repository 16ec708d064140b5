"""Record files of MXNet detection data, written and read back without MXNet; `dropspot.recordio` has the framing.

A payload here is a header `<IfQQ` (number of label floats, 0.0, id, second id), the label floats, and the picture's
bytes, as mxnet.recordio 1.9.1 packs it; a test compares the bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from dropspot.recordio import MAGIC_WORD, FramingError, around, frame, read_payload

_HEADER = struct.Struct("<IfQQ")
_HEAD_BYTES, _PADDING_BYTES = 8, 3  # of a record that has nothing to be cut out: what is before it, and at most behind
_MEMORY = 1 << 19


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
    """Writes `<name>.rec` and its index `<name>.idx` (lines of key, tab, byte offset).

    Records are put together in one piece of memory and written when it is full. For pictures of 100 KB that takes two
    thirds of the time: files are read to where they belong, and the system fills a file in larger pages.
    """

    def __init__(self, rec: Path, idx: Path) -> None:
        self._rec: BinaryIO = rec.open("wb")
        self._idx = idx.open("w", encoding="ascii", newline="\n")
        self._written = 0
        self._memory = memoryview(bytearray(_MEMORY))
        self._used = 0

    def write(self, key: int, payload: bytes) -> None:
        """Write a record."""
        framed = frame(payload)
        self._room(len(framed))[:] = framed
        self._take(key, len(framed))

    def write_with_file(self, key: int, beginning: bytes, path: Path) -> None:
        """Write a record whose payload is `beginning` and all that a file holds."""
        start, end = _HEAD_BYTES, _HEAD_BYTES + len(beginning)
        with path.open("rb") as file:
            room = self._room(end + os.fstat(file.fileno()).st_size + _PADDING_BYTES)
            room[start:end] = beginning
            end += file.readinto(room[end:-_PADDING_BYTES])
        payload = room[start:end]
        if _to_be_cut(payload):
            self.write(key, bytes(payload))
            return
        head, padding = around(len(payload))
        room[:start] = head
        room[end : end + len(padding)] = padding
        self._take(key, end + len(padding))

    def _room(self, size: int) -> memoryview:
        """As much memory as is asked for, behind the records that are in it."""
        if self._used + size > len(self._memory):
            self._flush()
        if size > len(self._memory):
            self._memory = memoryview(bytearray(size))
        return self._memory[self._used : self._used + size]

    def _take(self, key: int, size: int) -> None:
        """Count what was put into the room as a record."""
        self._idx.write(f"{key}\t{self._written + self._used}\n")
        self._used += size

    def _flush(self) -> None:
        self._rec.write(self._memory[: self._used])
        self._written += self._used
        self._used = 0

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._rec, self._idx:
            self._flush()


def _to_be_cut(payload: memoryview) -> bool:
    """Whether the magic word stands at a multiple of four.

    Compared word by word: searching the bytes takes five times as long.
    """
    return bool((np.frombuffer(payload, dtype="<u4", count=len(payload) // 4) == MAGIC_WORD).any())


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
