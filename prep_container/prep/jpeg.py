"""JPEG without Pillow: what a file's header says, its pixels where it decodes cleanly, and how one is written.

Plain JPEGs are nearly all that data sets consist of. They are decoded through simplejpeg: unlike Pillow it tells when
the decoder met damage, and it decodes straight into the array that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # its stubs lack the marker
import xxhash
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # rows of pixels of blue, green and red, which OpenCV takes as they are
Luma = NDArray[np.uint8]  # rows of a JPEG's first component, its brightness

# What im2rec takes too: any lower setting loses more than the better filter for strong reductions wins back.
QUALITY = 95
BEGINNING = b"\xff\xd8\xff"  # of every JPEG
LONGEST_SIDE = 65_500  # of a JPEG, in libjpeg

_WITH_LUMA = "YCbCr"
_COLOURS = (_WITH_LUMA, "RGB")
_GREY = "Gray"
_START_OF_SCAN, _APP1, _APP2 = 0xDA, 0xE1, 0xE2
_STANDALONE = {0x01, *range(0xD0, 0xDA)}  # markers that no length follows
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_COMMON_FRAMES = {0xC0, 0xC1, _PROGRESSIVE}  # baseline, extended, progressive; every decoder knows these


class DamagedError(Exception):
    """The data aren't what the format asks for; what a more patient decoder makes of them may still do."""


class IncompleteError(Exception):
    """The data end before the picture does."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known before decoding.

    `plain` tells that the pixels can be had with `pixels` (others need colour management: CMYK); `common` that any
    JPEG decoder shows this very picture in three channels; `has_luma` that its brightness can be had with `luma`;
    `progressive` that each scan goes over all of it; `has_metadata` that an orientation may be
    stated.
    """

    width: int
    height: int
    plain: bool
    common: bool
    has_luma: bool
    progressive: bool
    has_metadata: bool


def read_header(source: bytes) -> Header | None:
    """The header of a JPEG, None where simplejpeg cannot read it."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(source, strict=False)
    except (ValueError, KeyError):  # KeyError: samplings that it doesn't know
        return None
    frames, metadata, several = set(), False, False
    for marker, start in _segments(source):
        if marker in _FRAMES:
            frames.add(marker)
        metadata = metadata or marker == _APP1
        several = several or (marker == _APP2 and source.startswith(b"MPF\0", start))  # other pictures follow it
    return Header(
        width=int(width),
        height=int(height),
        plain=colours in _COLOURS or colours == _GREY,
        common=colours in _COLOURS and frames <= _COMMON_FRAMES and not several,
        has_luma=colours == _WITH_LUMA,
        progressive=_PROGRESSIVE in frames,
        has_metadata=metadata,
    )


def pixels(source: bytes) -> Pixels:
    """All pixels, as accurate as libjpeg gives them (the same as Pillow's and OpenCV's to the bit).

    Raises IncompleteError where the data end too early, DamagedError where the decoder met anything else amiss (it may
    even have given up).
    """
    return _decoded(source, "BGR")


def luma(source: bytes) -> Luma:
    """The brightness of all pixels, checked as `pixels` checks: raises the same errors for the same files.

    The decoder reads every component's data, where alone it can meet damage; what it leaves out, transforming the other
    two and mixing colours, is arithmetic that any values pass through.
    """
    return _decoded(source, "GRAY")[..., 0]


def _decoded(source: bytes, colours: str) -> NDArray[np.uint8]:
    try:
        decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            source, colours, fastdct=False, fastupsample=False, strict=True
        )
    except ValueError as error:
        if "remature end of" in str(error):  # the decoder's own words: of the file, or of a scan's data
            raise IncompleteError(str(error)) from error
        raise DamagedError(str(error)) from error
    return decoded


def encode(picture: Pixels) -> bytes:
    """The picture as a JPEG, the same bytes every time."""
    settings = (
        *(cv2.IMWRITE_JPEG_QUALITY, QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    )
    # Not simplejpeg's: it writes with the less accurate transform whatever it is asked for.
    done, encoded = cv2.imencode(".jpg", picture, settings)
    if not done:
        raise ValueError("it cannot be written as a JPEG")
    return encoded.tobytes()


def blue_first(picture: Pixels) -> Pixels:
    """The same pixels, given as red, green and blue."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def digest(encoded: bytes) -> str:
    """The identity of a JPEG file, by the same hash as that of a picture (`prep.pixels.digest`)."""
    return xxhash.xxh3_128_hexdigest(encoded)


def _segments(source: bytes) -> Iterator[tuple[int, int]]:
    """Markers before the first scan, each with where its content begins."""
    at = 2
    while at + 4 <= len(source):
        if source[at] != 0xFF:
            at = source.find(b"\xff", at)
            if at < 0:
                return
            continue
        marker = source[at + 1]
        if marker == _START_OF_SCAN:
            return
        if marker in (0x00, 0xFF) or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        yield marker, at + 4
        at += 2 + max(2, int.from_bytes(source[at + 2 : at + 4]))
