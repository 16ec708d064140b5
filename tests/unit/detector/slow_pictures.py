"""Pictures for the real server: an ordinary one, one that is large, and two that take long to decode."""

import io
import struct
from functools import cache

import numpy as np
from PIL import Image

_START_OF_SCAN = b"\xff\xda"


@cache
def picture() -> bytes:
    """A JPEG of 64x48 pixels of noise."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@cache
def large_picture() -> bytes:
    """A PNG of 49 megapixels, half transparent."""
    buffer = io.BytesIO()
    Image.new("RGBA", (7000, 7000), (1, 2, 3, 128)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@cache
def scan_bomb() -> bytes:
    """A progressive JPEG of one colour whose last scan comes again and again: each goes over all 36 megapixels."""
    buffer = io.BytesIO()
    Image.new("L", (6000, 6000), 90).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rindex(_START_OF_SCAN) : -2]
    return data[:-2] + last * 4000 + data[-2:]


@cache
def run_length_bomb() -> bytes:
    """A bitmap of 49 megapixels in 28 KiB: each of its rows is one pixel, and the rest is filled up in Python."""
    side, colours = 7000, bytes(4 * 256)
    rows = b"\x01\x07\x00\x00" * side
    start = 14 + 40 + len(colours)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + head + colours + rows
