"""What every part of dropspot means by a picture: upright, three channels of eight bits, its first frame.

Training data, served images and normalised images all pass through these rules, so that a detector sees in service what
it saw in training.
"""

from collections.abc import Iterator

from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401  # registers what Pillow itself loads late

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # only these decoders meet untrusted bytes
MAX_PIXELS = 50_000_000  # 150 MB as RGB

_ORIENTATION = 0x0112  # EXIF and TIFF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations whose rows are stored as columns
_FROM_THE_END = (3, 4, 7, 8)  # orientations whose first row is the last one (or the last column) stored

_TWELVE_BITS = 1 << 12
_ROWS = 256  # of 16-bit grey looked at together: in the mode that has extremes in either order of bytes, it is larger

_Scale = tuple[float, float]  # deeper grey times the first plus the second is grey from 0 to 255


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8: 1 where none is stated, 0 where the data or the value make no sense."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # its parser raises anything on mangled data; the picture itself is fine
        return 0
    return (value or 1) if isinstance(value, int) and 0 <= value <= 8 else 0


def turned(picture: Image.Image, stated: int) -> Image.Image:
    """Return the picture held upright, given its orientation; one that makes no sense turns nothing."""
    return picture.transpose(_TURNS[stated]) if stated in _TURNS else picture


def upright_size(size: tuple[int, int], stated: int) -> tuple[int, int]:
    """Return the width and height that a picture stored with this size has when it is held upright."""
    return (size[1], size[0]) if stated in _ON_ITS_SIDE else size


def three_channels(picture: Image.Image) -> Image.Image:
    """Return a loaded picture as RGB: transparency laid over white, deeper grey scaled to eight bits.

    16-bit grey is scaled by its range, or by that of 12 bits where it holds no more: many cameras store twelve in
    sixteen, which would be all but black. 32-bit and floating-point grey are scaled by their own extremes (there is no
    other scale).
    """
    return _three_channels(picture, _scale(picture))


def strips(picture: Image.Image, stated: int, rows: int) -> Iterator[Image.Image]:
    """Yield a loaded picture upright and as RGB, `rows` rows at a time from the top (the last strip may be lower).

    Together they are turned(three_channels(picture), stated), without a second picture of that size in memory.
    """
    scale = _scale(picture)
    width, height = upright_size(picture.size, stated)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = (height - bottom, height - top) if stated in _FROM_THE_END else (top, bottom)
        box = (first, 0, last, width) if stated in _ON_ITS_SIDE else (0, first, width, last)
        yield turned(_three_channels(picture.crop(box), scale), stated)


def _scale(picture: Image.Image) -> _Scale | None:
    """How a picture of more than eight bits becomes one of eight; None where it has eight."""
    if picture.mode.startswith("I;16"):
        return (1 / 16 if _is_twelve_bits(picture) else 1 / 256), 0.0
    if picture.mode not in ("I", "F"):
        return None
    low, high = (float(value) for value in picture.getextrema())  # type: ignore[arg-type]  # of its only band
    factor = 255.0 / (high - low) if high > low else 0.0
    return factor, -low * factor


def _is_twelve_bits(picture: Image.Image) -> bool:
    """Whether no value of a picture of 16-bit grey takes more than twelve bits."""
    width, height = picture.size
    for top in range(0, height, _ROWS):
        _, high = picture.crop((0, top, width, min(top + _ROWS, height))).convert("I").getextrema()
        if float(high) >= _TWELVE_BITS:  # type: ignore[arg-type]  # of its only band
            return False
    return True


def _three_channels(picture: Image.Image, scale: _Scale | None) -> Image.Image:
    if scale is not None:
        factor, offset = scale
        picture = picture.convert("I") if picture.mode == "I;16B" else picture  # which knows no arithmetic
        return picture.point(lambda value: value * factor + offset).convert("L").convert("RGB")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
