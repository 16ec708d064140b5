"""What preparation, the detector and the normalising path make of the same bytes: the same pixels."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from unit.detector.slow_pictures import run_length_bomb, scan_bomb

from detector.pictures import PictureTooLargeError, read_picture
from dropspot.images import DECOMPRESSION_BOMB, RejectedImageError
from dropspot_imaging import normalising
from dropspot_imaging.upright import FORMATS
from prep.decoding import Decoded, DecodeTask, Undecodable, decode

SIZE = (48, 32)


def ramp(mode: str) -> Image.Image:
    """A picture in which no two corners are alike, in any mode."""
    if mode in ("I", "F", "I;16"):
        step = {"I": 70_000, "F": 0.013, "I;16": 40}[mode]
        picture = Image.new(mode, SIZE)
        picture.putdata([step * (x + 2 * y) for y in range(SIZE[1]) for x in range(SIZE[0])])
        return picture
    red = Image.linear_gradient("L").resize(SIZE)
    green = red.transpose(Image.Transpose.ROTATE_180)
    blue = Image.radial_gradient("L").resize(SIZE)
    coloured = Image.merge("RGB", (red, green, blue))
    if mode == "PA":
        with_alpha = coloured.convert("P").convert("PA")
        with_alpha.putalpha(blue)
        return with_alpha
    picture = coloured.convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(blue)
    return picture


def encoded(picture: Image.Image, kind: str, orientation: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


ODD = {
    "1": encoded(ramp("1"), "PNG"),
    "L": encoded(ramp("L"), "PNG"),
    "L as JPEG": encoded(ramp("L"), "JPEG"),
    "P": encoded(ramp("P"), "PNG"),
    "P with a transparent colour": encoded(ramp("P"), "PNG", transparency=7),
    "PA": encoded(ramp("PA"), "TIFF"),
    "LA": encoded(ramp("LA"), "PNG"),
    "RGBA": encoded(ramp("RGBA"), "PNG"),
    "RGBA as WebP": encoded(ramp("RGBA"), "WEBP", lossless=True),
    "RGB with a transparent colour": encoded(ramp("RGB"), "PNG", transparency=(0, 255, 90)),
    "CMYK": encoded(ramp("CMYK"), "JPEG"),
    "YCbCr": encoded(ramp("YCbCr"), "TIFF"),
    "I;16": encoded(ramp("I;16"), "PNG"),
    "I": encoded(ramp("I"), "TIFF"),
    "F": encoded(ramp("F"), "TIFF"),
    "F, all the same": encoded(Image.new("F", SIZE, 3.5), "TIFF"),
    **{f"orientation {n}": encoded(ramp("RGB"), "PNG", n) for n in range(1, 9)},
    "orientation 6, CMYK JPEG": encoded(ramp("CMYK"), "JPEG", 6),
    "orientation 6, grey TIFF": encoded(ramp("L"), "TIFF", 6),
    "orientation 99": encoded(ramp("RGB"), "JPEG", 99),
}


def prepared(data: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Image.Image:
    """The picture that prep goes on with, before it is made a JPEG."""
    seen: list[Image.Image] = []
    monkeypatch.setattr(
        "prep.jpeg.encode", lambda pixels: seen.append(Image.fromarray(pixels[..., ::-1].copy())) or b""
    )
    (folder / "picture").write_bytes(data)
    outcome = decode(DecodeTask(0, folder / "picture", 4096, folder))
    assert isinstance(outcome, Decoded)
    return seen[0] if seen else Image.open(folder / "picture")  # it passed through untouched


def normalised(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Image.Image:
    """The picture that is sent to the endpoint, before it is made a JPEG."""
    seen: list[Image.Image] = []
    monkeypatch.setattr(normalising, "_encoded", lambda picture, limit: seen.append(picture) or b"")
    normalising.normalise(data, payload_limit=6_291_456, pixel_limit=1_000_000)
    return seen[0]


@pytest.mark.parametrize("kind", ODD)
def test_preparation_detector_and_normalising_see_the_same_pixels(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [
        prepared(ODD[kind], tmp_path, monkeypatch),
        read_picture(ODD[kind]),
        normalised(ODD[kind], monkeypatch),
    ]
    assert {(picture.mode, picture.size) for picture in pictures} in (
        {("RGB", SIZE)},
        {("RGB", SIZE[::-1])},
    )
    assert len({picture.tobytes() for picture in pictures}) == 1
    turned = kind.startswith("orientation") and kind[12] in "5678"
    assert pictures[0].size == (SIZE[::-1] if turned else SIZE)


def test_deeper_grey_keeps_its_contrast() -> None:
    for kind in ("I;16", "I", "F"):
        darkest, brightest = read_picture(ODD[kind]).convert("L").getextrema()
        assert (darkest, brightest > 5) == (0, True)


def test_all_open_the_same_formats() -> None:
    for kind in FORMATS:
        data = encoded(ramp("RGB"), kind) if kind not in ("GIF", "BMP") else bytes_of(ramp("RGB"), kind)
        assert read_picture(data).size == SIZE
        assert normalising.normalise(data, payload_limit=10**6, pixel_limit=10**6).width == SIZE[0]


def bytes_of(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(("bomb", "told"), [(scan_bomb, "4,006 scans"), (run_length_bomb, "run-length coded")])
def test_what_takes_long_to_decode_is_refused_by_all(bomb: Callable[[], bytes], told: str, tmp_path: Path) -> None:
    data, stored = bomb(), tmp_path / "picture"
    with pytest.raises(PictureTooLargeError, match=told):
        read_picture(data)
    with pytest.raises(RejectedImageError, match=told) as refused:
        normalising.normalise(data, payload_limit=1 << 20, pixel_limit=50_000_000)
    assert refused.value.code == DECOMPRESSION_BOMB
    stored.write_bytes(data)
    outcome = decode(DecodeTask(0, stored, 512, tmp_path))
    assert isinstance(outcome, Undecodable)
    assert outcome.code == "image_too_large"
    assert told in outcome.reason


def test_a_small_run_length_coded_bitmap_is_read() -> None:
    small = bytearray(run_length_bomb())
    small[18:26] = (50).to_bytes(4, "little") * 2
    assert read_picture(bytes(small)).size == (50, 50)
