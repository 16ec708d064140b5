"""RecordIO framing, which a channel asks for with RecordWrapperType RecordIO.

A record (little-endian): the magic word, a word with a 3-bit flag and a 29-bit length, the payload, zeros up to a
multiple of four bytes. A payload that holds the magic word at a multiple of four is sent in parts without that word,
which the reader puts back; their flags are 1 (first), 2 (middle) and 3 (last). Follows dmlc-core's RecordIOWriter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAGIC = struct.pack("<I", 0xCED7230A)
LONGEST = (1 << 29) - 1
"""Of a payload, in bytes."""


def frame(payload: bytes) -> bytes:
    """The bytes of one record; ValueError when the payload is longer than LONGEST."""
    if len(payload) > LONGEST:
        raise ValueError(f"a record holds at most {LONGEST} bytes, not {len(payload)}")
    parts = list(_parts(payload))
    flags = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    return b"".join(
        MAGIC + struct.pack("<I", flag << 29 | len(part)) + part + bytes(-len(part) % 4)
        for flag, part in zip(flags, parts, strict=True)
    )


def _parts(payload: bytes) -> Iterator[bytes]:
    """What stands between the magic words at multiples of four."""
    start, found = 0, payload.find(MAGIC)
    while found >= 0:
        if found % 4 == 0:
            yield payload[start:found]
            start = found + len(MAGIC)
        found = payload.find(MAGIC, max(found + 1, start))
    yield payload[start:]
