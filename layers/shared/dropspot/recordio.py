"""RecordIO framing: MXNet's record files, and the pipes of a channel whose RecordWrapperType is RecordIO.

A record (little-endian) is the magic word, a word with a 3-bit flag and a 29-bit length, the payload, and zeros up to a
multiple of four bytes. A payload that holds the magic word at a multiple of four is cut there: its parts carry the
flags 1 (first), 2 (middle) and 3 (last), the word itself is not written and the reader puts it back.

Follows the behaviour of dmlc-core's RecordIOWriter and of mxnet.recordio 1.9.1; a test compares the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Protocol

MAGIC_WORD = 0xCED7230A
MAGIC = struct.pack("<I", MAGIC_WORD)
MAX_LENGTH = (1 << 29) - 1  # bytes of a payload

_ALIGNMENT = 4
_BLOCK = 1 << 20  # bytes that are searched at once
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


class ByteStream(Protocol):
    """A file or pipe that is read from the front."""

    def read(self, size: int, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""


class FramingError(ValueError):
    """The bytes are not RecordIO, or end within a record."""


def frame(payload: bytes) -> bytes:
    """The bytes of one record. Raises ValueError where the payload is longer than MAX_LENGTH."""
    _check(len(payload))
    parts = list(_parts(payload))
    flags = [_FIRST, *[_MIDDLE] * (len(parts) - 2), _LAST] if len(parts) > 1 else [_WHOLE]
    return b"".join(
        piece
        for flag, part in zip(flags, parts, strict=True)
        for piece in (_head(flag, len(part)), part, _padding(len(part)))
    )


def around(length: int) -> tuple[bytes, bytes]:
    """What stands before and behind a payload of this many bytes that has nothing to be cut out.

    For writers that know this of a payload and want no copy of it. Raises ValueError as `frame` does.
    """
    _check(length)
    return _head(_WHOLE, length), _padding(length)


def read_payload(stream: ByteStream) -> bytes | None:
    """The payload of the record that begins here, None at the end. Raises FramingError."""
    parts: list[bytes] = []
    total = 0
    while True:
        head = stream.read(8)
        if not head and not parts:
            return None
        if len(head) < 8 or head[:4] != MAGIC:
            raise FramingError("the data are not RecordIO or end within a record")
        flag, length = divmod(int.from_bytes(head[4:], "little"), 1 << 29)
        if flag > _LAST or (flag in (_WHOLE, _FIRST)) == bool(parts):
            raise FramingError("the parts of a record are out of order")
        body = stream.read(length + -length % _ALIGNMENT)
        if len(body) < length:
            raise FramingError("the data end within a record")
        if _find_word(body) >= 0:
            raise FramingError("a record reaches over the beginning of another")
        parts.append(body[:length])
        if flag in (_WHOLE, _LAST):
            return MAGIC.join(parts)
        total += length + len(MAGIC)
        if total > MAX_LENGTH:  # damaged: no writer makes more of one payload
            raise FramingError(f"a record has more than {MAX_LENGTH:,} bytes")


def seek_record(file: BinaryIO, start: int) -> int:
    """Move to the first record that begins at byte `start` or behind it, or to the end; return where that is.

    Nothing within a record looks like its beginning: payloads are cut wherever they hold the magic word at a multiple
    of four.
    """
    at = start + -start % _ALIGNMENT
    file.seek(at)
    while block := file.read(_BLOCK):
        found = _find_word(block)
        while found >= 0:
            file.seek(at + found + len(MAGIC))
            if int.from_bytes(file.read(4), "little") >> 29 in (_WHOLE, _FIRST):
                return file.seek(at + found)
            found = _find_word(block, found + len(MAGIC))
        at += len(block)
        file.seek(at)
    return at


def _check(length: int) -> None:
    if length > MAX_LENGTH:
        raise ValueError(f"a record holds at most {MAX_LENGTH} bytes, not {length}")


def _head(flag: int, length: int) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | length)


def _padding(length: int) -> bytes:
    return bytes(-length % _ALIGNMENT)


def _parts(payload: bytes) -> Iterator[bytes]:
    """What stands between the magic words at multiples of four."""
    start, found = 0, _find_word(payload)
    while found >= 0:
        yield payload[start:found]
        start = found + len(MAGIC)
        found = _find_word(payload, start)
    yield payload[start:]


def _find_word(data: bytes, start: int = 0) -> int:
    """Where the magic word stands at a multiple of four, from `start` on; -1 where it does not."""
    found = data.find(MAGIC, start)
    while found >= 0 and found % _ALIGNMENT:
        found = data.find(MAGIC, found + 1)
    return found
