"""What is done to pixels: held upright, identified, and scaled down, without a second full-size copy of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image

from prep.jpeg import Luma, Pixels

SOME_ROWS, EVERY_ROW = 8, 1  # how far the rows lie apart that a picture is identified by
_SAMPLES = 8  # to a side
_BLOCK = 8  # pixels to a side that a JPEG transforms together
_OF_ONE_VALUE = np.uint64(0x0101_0101_0101_0101)  # times a row of a block's first pixel: the row, if all are like it
_BRIGHTNESS = np.array([0.114, 0.587, 0.299])  # of blue, green and red, in JFIF
_ROUNDING = 1.0  # of that, and of what decoders do a little less exactly
STRIP_ROWS = 64  # high enough to be fast, low enough that several copies of a strip don't count

cv2.setNumThreads(1)  # every core has a worker of its own


@dataclass(frozen=True)  # sent to or by workers: with slots, pickling takes twice as long
class Identity:
    """What a picture is recognised by: a hash of its size and pixels, and some of these themselves.

    The `samples` lie on a grid, row by row: blue, green and red, or one byte each where luma was looked at.
    """

    digest: str
    samples: bytes
    in_colour: bool


def identity(width: int, height: int, strips: Iterable[Pixels | Luma], rows_apart: int) -> Identity:
    """The identity of a picture whatever its encoding, from its upright pixels or from its luma, in strips.

    With `rows_apart` 1 it is of all pixels; else of the first row and those so far apart. Pictures that differ in
    these are different, and those that don't are worth a closer look.

    The hash has 128 bits. XXH3 is no cryptographic hash, but thirty times as fast as one; it only says which pictures
    of a data set are the same.
    """
    hashed = xxhash.xxh3_128(struct.pack("<II", width, height))
    sampled, columns, samples = _places(height), _places(width), []
    top, in_colour = 0, False
    for strip in strips:
        in_colour = strip.ndim > 2
        rows = strip[-top % rows_apart :: rows_apart]
        for first in range(0, rows.shape[0], STRIP_ROWS):  # a copy, which is never large
            hashed.update(np.ascontiguousarray(rows[first : first + STRIP_ROWS]).data)
        within = [row - top for row in sampled if top <= row < top + strip.shape[0]]
        samples.append(strip[within][:, columns].tobytes())
        top += strip.shape[0]
    return Identity(hashed.hexdigest(), b"".join(samples), in_colour)


def is_flat_drawing(luma: Luma) -> bool:
    """Whether most of a JPEG's blocks of 8 by 8 pixels are of one brightness, as some of their rows show.

    Colours that are cut off can be the same though the luma is not (pure green may have any from 120 to 179). For the
    whole of a picture that happens to drawings of flat colours. It could be made to happen to others: noise in the luma
    under colours that are cut off everywhere. Luma alone can't tell these from photographs, and such pictures count as
    different though their pixels are equal.
    """
    rows = luma[_places(luma.shape[0]), : luma.shape[1] // _BLOCK * _BLOCK]
    blocks = rows.reshape(-1, _BLOCK)
    flat = blocks.view(np.uint64)[:, 0] == blocks[:, 0] * _OF_ONE_VALUE
    return 2 * int(np.count_nonzero(flat)) >= len(blocks)


def _places(length: int) -> list[int]:
    """The middles of equal parts of a side; the same ones several times where it has fewer pixels."""
    return [middle * length // (2 * _SAMPLES) for middle in range(1, 2 * _SAMPLES, 2)]


def sampled_alike(pixels: bytes, lumas: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The rows of `lumas`, the samples of one JPEG each, that may belong to these samples of pixels.

    None is missing that does. JFIF's conversion rounds each colour by a half at most, so the brightness of the rounded
    ones is off by no more than that; where one was cut off at black it may be too great, at white too small.
    """
    colours = np.frombuffer(pixels, np.uint8).reshape(-1, 3)
    brightness = colours @ _BRIGHTNESS
    least = np.where((colours > 0).all(axis=1), brightness - _ROUNDING, 0)
    most = np.where((colours < 255).all(axis=1), brightness + _ROUNDING, 255)
    left = np.arange(len(lumas))
    for place in range(len(colours)):
        found = lumas[left, place]
        left = left[(least[place] <= found) & (found <= most[place])]
        if not left.size:
            break
    return left


def turned(picture: Pixels, stated: int) -> Pixels:
    """A view of the picture held upright, given its EXIF orientation; one that makes no sense turns nothing."""
    if stated in (5, 6, 7, 8):
        picture = picture.transpose(1, 0, 2)
    if stated in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture[::-1] if stated in (3, 4, 7, 8) else picture


def fitted_size(width: int, height: int, shorter_side: int) -> tuple[int, int]:
    """Width and height of a picture whose shorter side may be `shorter_side` pixels; it is never enlarged."""
    shorter = min(width, height)
    if shorter <= shorter_side:
        return width, height
    return width * shorter_side // shorter, height * shorter_side // shorter  # rounded as im2rec does


def scaled(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """The picture scaled down to this width and height.

    Down to a third, bilinear interpolation is what the rate allows: averaging takes six times as long, and little of
    what it wins outlives the JPEG. Beyond, interpolation would skip most pixels and turn fine patterns into false ones,
    so whole areas are averaged.
    """
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    filter_ = cv2.INTER_LINEAR if width <= 3 * size[0] and height <= 3 * size[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, size, interpolation=filter_), dtype=np.uint8)


class StripScaler:
    """Scales a picture that comes in strips: each is averaged by a whole factor, the rest is scaled at the end."""

    def __init__(self, width: int, height: int, size: tuple[int, int]) -> None:
        self._whole, self._size = (width, height), size
        self._factor = max(1, min(width // size[0], height // size[1]) // 2)
        self.rows = -(-STRIP_ROWS // self._factor) * self._factor
        self._averaged: Pixels = np.empty((-(-height // self._factor), -(-width // self._factor), 3), np.uint8)
        self._filled = 0

    def add(self, strip: Pixels) -> None:
        """Take the next strip, which has `rows` rows unless it is the last."""
        averaged = strip if self._factor == 1 else self._average(strip)
        self._averaged[self._filled : self._filled + averaged.shape[0]] = averaged
        self._filled += averaged.shape[0]

    def result(self) -> Pixels:
        if self._factor == 1:
            return scaled(self._averaged, self._size)
        # The last column and row may stand for fewer pixels than the others: only Pillow takes a fractional box.
        box = (0.0, 0.0, self._whole[0] / self._factor, self._whole[1] / self._factor)
        return np.asarray(Image.fromarray(self._averaged).resize(self._size, Image.Resampling.BOX, box))

    def _average(self, strip: Pixels) -> Pixels:
        height, width = strip.shape[:2]
        below, right = -height % self._factor, -width % self._factor
        if below or right:
            strip = np.asarray(cv2.copyMakeBorder(strip, 0, below, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8)
        size = (strip.shape[1] // self._factor, strip.shape[0] // self._factor)
        return np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
