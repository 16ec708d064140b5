"""One picture: decoded completely, made upright and 3-channel, and brought to a JPEG of the wanted size."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 80_000_000  # 240 MB as three channels
JPEG_QUALITY = 90
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # a camera's MPO opens as JPEG and then calls itself MPO
_STRIP_ROWS = 256
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """Which file to decode, the longest its shorter side may be (pixels), and where to put a re-encoded JPEG."""

    number: int
    stored: Path
    shorter_side: int
    target: Path


@dataclass(frozen=True, slots=True)
class Decoded:
    """A usable picture.

    `width` and `height` are those of the upright source, which its boxes refer to; `payload` (of `payload_width` by
    `payload_height`) is the source itself where it passes through byte for byte, else the task's target.
    """

    width: int
    height: int
    payload: Path
    payload_width: int
    payload_height: int
    payload_digest: str
    pixel_digest: str
    unreadable_exif: bool = False


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a picture cannot be used, as a quarantine code and a reason."""

    code: str
    reason: str


def decode(task: DecodeTask) -> Decoded | Undecodable:
    """Decode one file completely. Whatever the decoder raises on hostile content is an answer, never an exception.

    Only trouble with the disk is raised (OSError): it is no fault of the picture's.
    """
    source = task.stored.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = MAX_PIXELS
            decoded, encoded = _decoded(task, source)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError, MemoryError):
        return Undecodable("image_too_large", f"it claims more than {MAX_PIXELS // 1_000_000} million pixels")
    except UnidentifiedImageError:
        return Undecodable("corrupt_image", "it cannot be decoded: no decoder recognises its content")
    except Exception as error:  # noqa: BLE001  # decoders raise what they like: OSError, SyntaxError, struct.error, ...
        return Undecodable("corrupt_image", f"it cannot be decoded: {str(error) or type(error).__name__}"[:300])
    if decoded.payload == task.target:
        task.target.write_bytes(encoded)
    return decoded


def _decoded(task: DecodeTask, source: bytes) -> tuple[Decoded, bytes]:
    """The picture and its bytes as JPEG."""
    with Image.open(io.BytesIO(source), formats=_FORMATS) as opened:
        opened.load()
        orientation = _orientation(opened)
        upright = three_channels(opened)
        if orientation in _UPRIGHT:
            upright = upright.transpose(_UPRIGHT[orientation])
        resized = fit(upright, task.shorter_side)
        fits = opened.format == "JPEG" and opened.mode == "RGB" and orientation == 1 and resized is upright
        payload, encoded = (task.stored, source) if fits else (task.target, encode(resized))
        decoded = Decoded(
            width=upright.width,
            height=upright.height,
            payload=payload,
            payload_width=resized.width,
            payload_height=resized.height,
            payload_digest=hashlib.sha256(encoded).hexdigest(),
            pixel_digest=pixel_digest(upright),
            unreadable_exif=orientation == 0,
        )
    return decoded, encoded


def encode(picture: Image.Image) -> bytes:
    """The picture as a JPEG, the same bytes every time."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0", optimize=False, progressive=False)
    return buffer.getvalue()


def pixel_digest(picture: Image.Image) -> str:
    """SHA-256 of a picture's size and pixels, taken in strips so that no second copy of a large one is made."""
    digest = hashlib.sha256(struct.pack("<II", *picture.size))
    for top in range(0, picture.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, picture.height)
        digest.update(picture.crop((0, top, picture.width, bottom)).tobytes())
    return digest.hexdigest()


def _orientation(opened: Image.Image) -> int:
    """The EXIF orientation: 1 where there is none (or 0, "not stated"); 0 where the data or the value make no sense."""
    try:
        value = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # TypeError, struct.error, KeyError, ...; the picture itself is fine
        return 0
    return (value or 1) if isinstance(value, int) and 0 <= value <= 8 else 0


def three_channels(picture: Image.Image) -> Image.Image:
    """The picture as RGB: transparency on white, 16-bit and floating grey scaled to 8 bits, the first frame."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I;16"):
        return picture.point(lambda value: value / 256).convert("L").convert("RGB")
    if picture.mode in ("I", "F"):
        low, high = picture.getextrema()
        scale = 255.0 / (high - low) if high > low else 0.0  # type: ignore[operator]
        return picture.point(lambda value: value * scale - low * scale).convert("L").convert("RGB")  # type: ignore[operator]
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return picture.convert("RGB")


def fit(picture: Image.Image, shorter_side: int) -> Image.Image:
    """The picture itself, or scaled down so that its shorter side is `shorter_side` pixels."""
    shorter = min(picture.size)
    if shorter <= shorter_side:
        return picture
    width, height = (max(1, round(side * shorter_side / shorter)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
