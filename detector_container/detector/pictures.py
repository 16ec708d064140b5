"""Read a compressed picture as upright RGB, the same in training and serving.

Grey, palette, CMYK, alpha (over white) and 16-bit pictures are converted; the orientation in the EXIF data is applied
and then gone.
"""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dropspot.errors import InvalidInputError

MAX_PIXELS = 50_000_000  # 150 MB as RGB; detect_objects sends no more
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is the stricter limit
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # decoders that may meet untrusted bytes


class PictureTooLargeError(InvalidInputError):
    """The picture's dimensions exceed what is decoded; only its header was read."""


def read_picture(data: bytes) -> Image.Image:
    """Return the picture (of an animation the first frame) as upright RGB.

    Raise InvalidInputError saying what is wrong with it.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise PictureTooLargeError(f"the picture has {width}x{height} pixels, more than {MAX_PIXELS:,} in all")
        picture.load()
        return _rgb(_upright(picture))
    except (PictureTooLargeError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLargeError(f"the picture is too large: {error}") from error
    except UnidentifiedImageError as error:
        raise InvalidInputError(f"the data is not a picture in any of the formats {', '.join(FORMATS)}") from error
    except Exception as error:
        raise InvalidInputError(f"the picture cannot be decoded: {type(error).__name__}: {error}") from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - mangled EXIF data makes its parser raise anything; the pixels are fine as they lie
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.asarray(picture, dtype=np.float64)
        top = 255.0 if picture.mode == "F" and values.max(initial=0) <= 255 else 65535.0
        return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, (255, 255, 255, 255)), layered).convert("RGB")
    return picture.convert("RGB")
