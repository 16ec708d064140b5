"""Pictures whose decoding takes far longer than their size says: each is refused before it is begun."""

import io
from typing import BinaryIO

from PIL import Image

_START_OF_SCAN = b"\xff\xda"  # within a scan's data 0xFF is followed by 0 or a restart marker
_MAX_SCANNED = 2_000_000_000  # pixels gone over by all scans: some seconds; an encoder makes about ten scans
_MAX_RUN_LENGTHS = 1_000_000  # pixels, and bytes, of a run-length coded bitmap: a second in Pillow, by Python


def excessive_scans(data: bytes, width: int, height: int) -> str | None:
    """Return what is wrong with a JPEG that goes over its pixels too often, None where it doesn't."""
    scans = data.count(_START_OF_SCAN)
    if scans * width * height <= _MAX_SCANNED:
        return None
    return f"its {scans:,} scans of {width} x {height} pixels take too long to decode"


def excessive_effort(picture: Image.Image, file: BinaryIO) -> str | None:
    """Return why decoding a picture, opened from this file, takes too long, None where it doesn't."""
    place, (width, height) = file.tell(), picture.size
    try:
        if picture.format in ("JPEG", "MPO"):
            file.seek(0)
            return excessive_scans(file.read(), width, height)
        if picture.format == "BMP" and any(tile[0] == "bmp_rle" for tile in getattr(picture, "tile", ())):
            size = file.seek(0, io.SEEK_END)
            if max(width * height, size) > _MAX_RUN_LENGTHS:
                return f"it is a run-length coded bitmap of more than {_MAX_RUN_LENGTHS:,} pixels or bytes"
        return None
    finally:
        file.seek(place)
