"""One picture: decoded completely, made upright and 3-channel, and brought to a JPEG of the wanted size."""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from dropspot_imaging.effort import excessive_effort, excessive_scans
from dropspot_imaging.upright import FORMATS, MAX_PIXELS, orientation, strips, upright_size
from prep import jpeg
from prep.jpeg import Luma, Pixels
from prep.pixels import (
    EVERY_ROW,
    SOME_ROWS,
    Identity,
    StripScaler,
    fitted_size,
    identity,
    is_flat_drawing,
    scaled,
    turned,
)

DAMAGED = "damaged_image"

Image.preinit()  # Pillow's usual formats, here and not at the first picture: workers that are forked have them then


class Look(Enum):
    """How closely a picture is looked at to recognise it; whichever it is, its file is decoded completely."""

    QUICK = "some rows, and mostly of a JPEG that passes through their luma alone"
    IN_COLOUR = "some rows"
    WHOLE = "every pixel"


@dataclass(frozen=True)  # sent to or by workers: with slots, pickling takes twice as long
class DecodeTask:
    """Which file to decode, the longest its shorter side may be (pixels), and the folder for a JPEG encoded anew."""

    number: int
    stored: Path
    shorter_side: int
    folder: Path  # the same object for all tasks: a batch's message has it once
    look: Look = Look.QUICK

    @property
    def target(self) -> Path:
        """Where a JPEG encoded anew is put."""
        return self.folder / f"{self.number:08d}.jpg"

    @property
    def rows_apart(self) -> int:
        """How far the rows lie apart that the picture is identified by, from the first on."""
        return EVERY_ROW if self.look is Look.WHOLE else SOME_ROWS


@dataclass(frozen=True)  # sent to or by workers: with slots, pickling takes twice as long
class Decoded:
    """A usable picture.

    `width` and `height` are those of the upright source, which its boxes refer to. Its payload (of `payload_width` by
    `payload_height`) is the source itself where it `passes` through byte for byte, else the task's target. `remark` is
    empty or the quarantine's code for what was noticed about a picture that is used all the same.
    """

    width: int
    height: int
    passes: bool
    payload_width: int
    payload_height: int
    payload_digest: str
    identity: Identity
    unreadable_exif: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a picture cannot be used, as a quarantine code and a reason."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Picture:
    """A source's upright size and identity, and its pixels, upright and scaled to fit; the luma may do if it passes."""

    width: int
    height: int
    identity: Identity
    fitted: Pixels | Luma
    stated: int  # its orientation
    passes: bool  # whether its own bytes are what is wanted
    remark: str = ""


class _TooLargeError(Exception):
    """The picture is larger, or takes more effort, than what is decoded or written here."""


def decode(task: DecodeTask) -> Decoded | Undecodable:
    """Decode one file completely. Whatever the decoder raises on hostile content is an answer, never an exception.

    Only trouble with the disk is raised (OSError): it is no fault of the picture's.
    """
    with task.stored.open("rb", buffering=0) as raw, io.BufferedReader(raw) as file:
        beginning = raw.read(len(jpeg.BEGINNING))  # past the buffer, which would have to be joined to the rest
        raw.seek(0)
        # Other formats are read as they are decoded: their files can be as large as their pixels.
        source = raw.readall() if beginning == jpeg.BEGINNING else b""
        try:
            picture = _jpeg_picture(source, task) if source else _by_pillow(file, task)
            encoded = source if picture.passes else jpeg.encode(np.ascontiguousarray(picture.fitted))
        except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, ...
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise
            return _undecodable(error)
    if not picture.passes:
        task.target.write_bytes(encoded)
    return Decoded(
        width=picture.width,
        height=picture.height,
        passes=picture.passes,
        payload_width=picture.fitted.shape[1],
        payload_height=picture.fitted.shape[0],
        payload_digest=jpeg.digest(encoded),
        identity=picture.identity,
        unreadable_exif=picture.stated == 0,
        remark=picture.remark,
    )


def _undecodable(error: Exception) -> Undecodable:
    match error:
        case _TooLargeError():
            return Undecodable("image_too_large", str(error))
        case Image.DecompressionBombWarning() | Image.DecompressionBombError() | MemoryError():
            return Undecodable("image_too_large", f"it claims more than {MAX_PIXELS // 1_000_000} million pixels")
        case UnidentifiedImageError():
            return Undecodable("corrupt_image", "it cannot be decoded: no decoder recognises its content")
    said = str(error)
    if not any(character.isalpha() for character in said):  # Pillow can raise a decoder's bare number
        said = f"its decoder gave up ({type(error).__name__})"
    return Undecodable("corrupt_image", f"it cannot be decoded: {said}"[:300])


def _jpeg_picture(source: bytes, task: DecodeTask) -> _Picture:
    """By the short way where it is plain and undamaged, else by Pillow, which knows more colours and has patience."""
    header = jpeg.read_header(source)
    if header is None or not header.plain:
        return _by_pillow(io.BytesIO(source), task)
    _check_size(header.width, header.height, task.shorter_side)
    if header.progressive:
        _check_effort(excessive_scans(source, header.width, header.height))
    stated = _stated(source) if header.has_metadata else 1
    size = (header.width, header.height)
    passes = header.common and stated == 1 and fitted_size(*size, task.shorter_side) == size
    try:
        if passes and header.has_luma and task.look is Look.QUICK:
            luma = jpeg.luma(source)
            if not is_flat_drawing(luma):
                return _from_pixels(luma, stated, task, passes=True)
        return _from_pixels(jpeg.pixels(source), stated, task, passes=passes)
    except jpeg.DamagedError:
        return _by_pillow(io.BytesIO(source), task, remark=DAMAGED)


def _from_pixels(pixels: Pixels | Luma, stated: int, task: DecodeTask, *, passes: bool) -> _Picture:
    """A picture decoded as a whole."""
    upright = turned(pixels, stated)
    height, width = upright.shape[:2]
    size = fitted_size(*upright_size((width, height), stated), task.shorter_side)
    return _Picture(
        width=width,
        height=height,
        identity=identity(width, height, [upright], task.rows_apart),
        fitted=turned(scaled(pixels, size), stated),  # scaled first: what remains to be turned is small
        stated=stated,
        passes=passes,
    )


def _by_pillow(file: BinaryIO, task: DecodeTask, remark: str = "") -> _Picture:
    with _opened(file) as picture:
        _check_size(*picture.size, task.shorter_side)
        _check_effort(excessive_effort(picture, file))
        if picture.format == "WEBP" and (pixels := _still_webp(picture, file)) is not None:
            return _from_pixels(pixels, orientation(picture), task, passes=False)
        picture.load()
        _check_size(*picture.size, task.shorter_side)  # some formats know better once they have read on
        stated = orientation(picture)
        width, height = upright_size(picture.size, stated)
        scaler = StripScaler(width, height, fitted_size(width, height, task.shorter_side))

        def rows() -> Iterator[Pixels]:
            for strip in strips(picture, stated, scaler.rows):
                pixels = jpeg.blue_first(np.asarray(strip))
                scaler.add(pixels)
                yield pixels

        recognised_by = identity(width, height, rows(), task.rows_apart)
    return _Picture(width, height, recognised_by, scaler.result(), stated, passes=False, remark=remark)


def _still_webp(picture: Image.Image, file: BinaryIO) -> Pixels | None:
    """The pixels of a WebP without alpha or animation; None for others, and where they can't be had.

    By way of OpenCV, which uses the same library: Pillow holds four pictures with alpha while it decodes one without.
    """
    if picture.mode != "RGB" or getattr(picture, "is_animated", False):
        return None
    file.seek(0)
    source = np.frombuffer(file.read(), dtype=np.uint8)
    decoded = cv2.imdecode(source, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Image.Image]:
    """The picture, opened by Pillow, which warns of much that is judged here."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=FORMATS) as picture:
            yield picture


def _stated(source: bytes) -> int:
    """The orientation in a JPEG's metadata; Pillow's reading of them, as for every other format."""
    try:
        with _opened(io.BytesIO(source)) as picture:
            return orientation(picture)
    except Exception:  # noqa: BLE001  # the pixels are known to be fine, whatever its parser stumbles over
        return 0


def _check_effort(excess: str | None) -> None:
    if excess:
        raise _TooLargeError(excess)


def _check_size(width: int, height: int, shorter_side: int) -> None:
    """Raise _TooLargeError if the picture has too many pixels, or is too long to be a JPEG once it fits."""
    if width * height > MAX_PIXELS:
        limit = f"more than {MAX_PIXELS // 1_000_000} million pixels"
        raise _TooLargeError(f"its {width} x {height} are {limit}")
    if max(fitted_size(width, height, shorter_side)) > jpeg.LONGEST_SIDE:
        raise _TooLargeError(f"its {width} x {height} are more than a JPEG's {jpeg.LONGEST_SIDE:,} pixels to a side")
