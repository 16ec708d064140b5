"""Pictures for the real server: an ordinary one, one that is large, and one that takes a minute to decode."""

import io
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
