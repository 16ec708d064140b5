"""An untrusted picture of any kind becomes an upright three-channel JPEG that fits the endpoint's payload."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import AvifImagePlugin, Image, UnidentifiedImageError, features

from dropspot.images import CORRUPT_IMAGE, DECOMPRESSION_BOMB, TOO_LARGE, UNSUPPORTED_FORMAT, RejectedImageError
from dropspot.sniff import recognised
from dropspot_imaging.effort import excessive_effort
from dropspot_imaging.upright import FORMATS, orientation, strips, upright_size

# What phones and browsers store today is looked at, though nobody trains on it; Pillow's wheels bring the decoder.
SERVED_FORMATS = (*FORMATS, AvifImagePlugin.AvifImageFile.format) if features.check("avif") else FORMATS
# A JPEG with more than one picture, as some phones store it, opens as MPO.
_CONTENT_TYPES = {name: f"image/{name.lower()}" for name in SERVED_FORMATS} | {"MPO": "image/jpeg"}

# What decoders raise on broken input, as Pillow's own tests of broken files show.
_DECODING_ERRORS = (
    OSError,  # UnidentifiedImageError too
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,  # AVIF's decoder says so of everything
    struct.error,
    zlib.error,
)

_QUALITY = 92
_LONGEST_SIDE = 65_500  # of a JPEG, in libjpeg
_ROWS = 512  # brought to RGB at once, so that there never are two whole pictures beside the decoded one
_REACH = 4  # rows of the result: the filter's three, and one for the rounding of a band's edge
_SHORTEST_SIDE = 32  # below this a picture that still doesn't fit is not worth a look


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """The JPEG to send; `width`, `height` and `content_type` are of the original, held upright."""

    jpeg: bytes
    width: int
    height: int
    content_type: str


def normalise(body: bytes, *, payload_limit: int, pixel_limit: int) -> NormalisedImage:
    """Return the picture as a JPEG of `payload_limit` bytes at most, scaled down only as far as that needs.

    Animations give their first frame, transparency is laid over white. Raises RejectedImageError:
    unsupported_format, corrupt_image, decompression_bomb (more pixels than the limit, or too much effort
    for them) or too_large.
    """
    with warnings.catch_warnings():
        # Pillow warns of much (EXIF, large pictures) that is judged here; a warning must not become an error.
        warnings.simplefilter("ignore")
        picture = _opened(body)
        if picture.width * picture.height > pixel_limit:
            raise RejectedImageError(
                DECOMPRESSION_BOMB, f"the picture has {picture.width} x {picture.height} pixels, above {pixel_limit}"
            )
        if excess := excessive_effort(picture, io.BytesIO(body)):
            raise RejectedImageError(DECOMPRESSION_BOMB, f"the picture is refused: {excess}")
        content_type = _CONTENT_TYPES[picture.format or ""]
        upright = _decoded(picture)
        picture.close()  # or there would be both while one is encoded
        return NormalisedImage(_encoded(upright, payload_limit), upright.width, upright.height, content_type)


def _opened(body: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(body), formats=SERVED_FORMATS)
    except Image.DecompressionBombError as error:
        raise RejectedImageError(DECOMPRESSION_BOMB, f"the picture's size is refused: {error}") from error
    except UnidentifiedImageError as error:
        kind = (recognised(body) or "").removeprefix("image/").upper()
        if kind in SERVED_FORMATS:
            raise RejectedImageError(CORRUPT_IMAGE, "the picture's header is broken") from error
        what = f"{kind} pictures are not read" if kind else "the object is no picture of a known kind"
        raise RejectedImageError(UNSUPPORTED_FORMAT, f"{what}: {', '.join(SERVED_FORMATS)} are") from error
    except _DECODING_ERRORS as error:
        raise RejectedImageError(CORRUPT_IMAGE, f"the picture's header is broken: {error}") from error


def _decoded(picture: Image.Image) -> Image.Image:
    """Return the first frame, upright, in RGB."""
    try:
        picture.load()
    except Image.DecompressionBombError as error:
        raise RejectedImageError(DECOMPRESSION_BOMB, f"the picture's size is refused: {error}") from error
    except _DECODING_ERRORS as error:
        raise RejectedImageError(CORRUPT_IMAGE, f"the picture can't be decoded: {error}") from error
    stated = orientation(picture)
    upright, top = Image.new("RGB", upright_size(picture.size, stated)), 0
    try:
        for strip in strips(picture, stated, _ROWS):
            upright.paste(strip, (0, top))
            top += strip.height
    except ValueError as error:
        raise RejectedImageError(UNSUPPORTED_FORMAT, f"pictures of mode {picture.mode} are unknown: {error}") from error
    return upright


def _encoded(picture: Image.Image, payload_limit: int) -> bytes:
    factor = min(1.0, _LONGEST_SIDE / max(picture.size))
    while True:
        jpeg = _jpeg(picture, factor)
        if len(jpeg) <= payload_limit:
            return jpeg
        # Bytes grow a little slower than pixels, hence the factor just below the exact one.
        factor *= 0.97 * (payload_limit / len(jpeg)) ** 0.5
        if min(_scaled(picture.size, factor)) < _SHORTEST_SIDE:
            raise RejectedImageError(TOO_LARGE, f"the picture fits into {payload_limit} bytes at no size worth a look")


def _jpeg(picture: Image.Image, factor: float) -> bytes:
    buffer = io.BytesIO()
    scaled = picture if factor == 1.0 else _resized(picture, _scaled(picture.size, factor))
    scaled.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture scaled down to `size` in bands: at once it takes a third picture, scaled in one direction."""
    resized, (width, height) = Image.new("RGB", size), size
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        first, last = max(0, top - _REACH), min(height, bottom + _REACH)
        box = (0.0, first * picture.height / height, float(picture.width), last * picture.height / height)
        band = picture.resize((width, last - first), Image.Resampling.LANCZOS, box)
        resized.paste(band.crop((0, top - first, width, bottom - first)), (0, top))
    return resized


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
