"""What every part of dropspot means by a picture: upright, three channels of eight bits, its first frame.

Training data, served images and normalised images all pass through these rules, so that a detector sees in service what
it saw in training.
"""

from PIL import Image

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


def three_channels(picture: Image.Image) -> Image.Image:
    """Return a loaded picture as RGB: transparency laid over white, deeper grey scaled to eight bits.

    16-bit grey is scaled by its range, 32-bit and floating-point grey by its own extremes (there is no other scale).
    """
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
