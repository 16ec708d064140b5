"""Read a compressed picture as upright RGB, the same in training and serving."""

import io
import warnings

from PIL import Image, UnidentifiedImageError

from dropspot.errors import InvalidInputError
from dropspot_imaging.effort import excessive_effort
from dropspot_imaging.upright import FORMATS, MAX_PIXELS, orientation, three_channels, turned

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is the stricter limit


class PictureTooLargeError(InvalidInputError):
    """The picture's dimensions, or the effort they take, exceed what is decoded; only its header was read."""


def read_picture(data: bytes) -> Image.Image:
    """Return the picture (of an animation the first frame) as upright RGB.

    Raise InvalidInputError saying what is wrong with it.
    """
    try:
        file = io.BytesIO(data)
        picture = Image.open(file, formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise PictureTooLargeError(f"the picture has {width}x{height} pixels, more than {MAX_PIXELS:,} in all")
        if excess := excessive_effort(picture, file):
            raise PictureTooLargeError(f"the picture is refused: {excess}")
        picture.load()
        return turned(three_channels(picture), orientation(picture))
    except (PictureTooLargeError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLargeError(f"the picture is too large: {error}") from error
    except UnidentifiedImageError as error:
        raise InvalidInputError(f"the data is not a picture in any of the formats {', '.join(FORMATS)}") from error
    except Exception as error:
        raise InvalidInputError(f"the picture cannot be decoded: {type(error).__name__}: {error}") from error
