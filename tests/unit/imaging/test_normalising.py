import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dropspot.images import RejectedImageError
from dropspot_imaging.normalising import NormalisedImage, normalise
from dropspot_imaging.upright import three_channels

RED, GREEN = (200, 30, 30), (30, 180, 30)


def two_halves(width: int = 64, height: int = 32) -> Image.Image:
    """Return a picture whose left half is red and whose right half is green."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height))
    return picture


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def normalised(body: bytes, payload_limit: int = 6_291_456, pixel_limit: int = 1_000_000) -> NormalisedImage:
    return normalise(body, payload_limit=payload_limit, pixel_limit=pixel_limit)


def opened(image: NormalisedImage) -> Image.Image:
    picture = Image.open(io.BytesIO(image.jpeg))
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert 0x0112 not in picture.getexif()
    return picture


def is_like(picture: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = picture.getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(got - wanted) < 30 for got, wanted in zip(found, colour, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_every_kind_becomes_a_jpeg_of_the_same_picture(kind: str) -> None:
    image = normalised(encoded(two_halves(), kind))
    assert (image.width, image.height, image.content_type) == (64, 32, f"image/{kind.lower()}")
    assert is_like(opened(image), (10, 16), RED)
    assert is_like(opened(image), (54, 16), GREEN)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16"])
def test_every_mode_becomes_three_channels(mode: str) -> None:
    if mode in {"I", "F", "I;16"}:
        picture = Image.new(mode, (64, 32), 100)
        picture.paste(200, (32, 0, 64, 32))
    elif mode == "PA":
        picture = two_halves().convert("P").convert("PA")
    else:
        picture = two_halves().convert(mode)
    body = encoded(picture, "TIFF") if mode in {"PA", "F", "I", "YCbCr", "CMYK"} else encoded(picture, "PNG")
    image = normalised(body)
    assert opened(image).size == (64, 32)
    assert (image.width, image.height) == (64, 32)


@pytest.mark.parametrize(("orientation", "left_is"), [(1, RED), (2, GREEN), (3, GREEN), (4, RED)])
def test_a_flipped_picture_is_held_upright(orientation: int, left_is: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = normalised(encoded(two_halves(), "JPEG", exif=exif))
    assert (image.width, image.height) == (64, 32)
    assert is_like(opened(image), (10, 16), left_is)


@pytest.mark.parametrize(("orientation", "top_is"), [(5, RED), (6, RED), (7, GREEN), (8, GREEN)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_turned_picture_s_size_is_the_upright_one(kind: str, orientation: int, top_is: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = normalised(encoded(two_halves(), kind, exif=exif))
    assert (image.width, image.height) == (32, 64)
    assert is_like(opened(image), (16, 10), top_is)


def test_an_orientation_that_does_not_exist_turns_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    assert normalised(encoded(two_halves(), "JPEG", exif=exif)).width == 64


def test_what_is_transparent_shows_white() -> None:
    picture = two_halves().convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    assert is_like(opened(normalised(encoded(picture, "PNG"))), (10, 16), (255, 255, 255))


def test_sixteen_bits_are_scaled_not_cut_off() -> None:
    picture = Image.new("I;16", (64, 32), 20_000)
    assert is_like(opened(normalised(encoded(picture, "PNG"))), (10, 16), (78, 78, 78))


@pytest.mark.parametrize(("value", "grey"), [(2_000, 125), (4_095, 255), (4_096, 16)])
def test_twelve_bits_in_sixteen_are_not_black(value, grey) -> None:
    picture = Image.new("I;16", (64, 600), value)
    assert is_like(opened(normalised(encoded(picture, "PNG"))), (10, 16), (grey,) * 3)


@pytest.mark.parametrize(("value", "grey"), [(20_000, 78), (2_000, 125)])
def test_sixteen_bits_are_read_in_either_order_of_bytes(value, grey) -> None:
    picture = Image.frombytes("I;16B", (64, 32), value.to_bytes(2, "big") * (64 * 32))
    assert three_channels(picture).getpixel((10, 16)) == (grey,) * 3


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (64, 32), colour) for colour in (RED, GREEN)]
    body = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert is_like(opened(normalised(body)), (10, 16), RED)


def test_a_jpeg_with_two_pictures_gives_its_first() -> None:
    body = encoded(two_halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 32), GREEN)])
    image = normalised(body)
    assert image.content_type == "image/jpeg"
    assert is_like(opened(image), (10, 16), RED)


def test_a_picture_is_scaled_down_only_as_far_as_the_payload_needs() -> None:
    noise = Image.effect_noise((600, 400), 100).convert("RGB")
    body = encoded(noise, "PNG")
    whole = normalised(body)
    assert opened(whole).size == (600, 400)
    limit = len(whole.jpeg) // 3
    image = normalised(body, payload_limit=limit)
    assert limit * 0.7 < len(image.jpeg) <= limit
    assert (image.width, image.height) == (600, 400)
    width, height = opened(image).size
    assert abs(width / height - 1.5) < 0.02


def test_a_picture_longer_than_a_jpeg_may_be_is_scaled_down() -> None:
    image = normalised(encoded(Image.new("1", (66_000, 4)), "PNG"))
    assert (image.width, image.height) == (66_000, 4)
    assert opened(image).width == 65_500


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"%PDF-1.7 no picture at all", "unsupported_format"),
        (b"\0" * 100, "unsupported_format"),
        (b"P6 2 2 255\n" + b"\0" * 12, "unsupported_format"),
        (b"\xff\xd8\xff\xe0", "corrupt_image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "corrupt_image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "corrupt_image"),
        (b"GIF89a", "corrupt_image"),
        (encoded(two_halves(), "JPEG")[:-200], "corrupt_image"),
        (encoded(two_halves(), "PNG")[:-40], "corrupt_image"),
        (encoded(two_halves(), "WEBP")[:-40], "corrupt_image"),
        (encoded(two_halves(), "BMP")[:-400], "corrupt_image"),
        (encoded(two_halves(2000, 501), "PNG"), "decompression_bomb"),
    ],
)
def test_what_cannot_be_decoded_is_rejected_with_the_reason(body: bytes, code: str) -> None:
    with pytest.raises(RejectedImageError) as caught:
        normalised(body)
    assert caught.value.code == code
    assert str(caught.value)


def test_a_picture_that_fits_at_no_size_is_rejected() -> None:
    with pytest.raises(RejectedImageError) as caught:
        normalised(encoded(Image.effect_noise((200, 200), 100), "PNG"), payload_limit=500)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_broken_bytes_are_rejected_never_an_accident(kind: str) -> None:
    body = encoded(two_halves(), kind)
    cuts = range(0, len(body), max(1, len(body) // 60))
    cases = [body[:at] for at in cuts] + [body[:at] + b"\xff\0\xff" + body[at + 3 :] for at in cuts]
    outcomes = {outcome(case) for case in cases}
    assert outcomes <= {"normalised", "corrupt_image", "unsupported_format", "decompression_bomb", "too_large"}
    assert "corrupt_image" in outcomes


def outcome(body: bytes) -> str:
    try:
        normalised(body)
    except RejectedImageError as rejection:
        return rejection.code
    return "normalised"


@pytest.mark.parametrize(
    ("brand", "code", "told"),
    [
        (b"avif", "corrupt_image", "broken"),
        (b"heic", "unsupported_format", "HEIC"),
        (b"isom", "unsupported_format", "known kind"),
    ],
)
def test_what_cameras_store_today_is_rejected_by_its_name(brand: bytes, code: str, told: str) -> None:
    with pytest.raises(RejectedImageError, match=told) as rejected:
        normalised(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + bytes(100))
    assert rejected.value.code == code


MEMORY_PROBE = """
import sys
from pathlib import Path
from dropspot_imaging.normalising import normalise
body = Path(sys.argv[1]).read_bytes()
image = normalise(body, payload_limit=int(sys.argv[2]) or len(body) * 9 // 10, pixel_limit=50_000_000)
assert (image.width, image.height) == (5_000, 10_000)
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
def test_the_largest_picture_needs_no_more_than_512_mib(mode: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "large.png").write_bytes(encoded(Image.new(mode, (10_000, 5_000)), "PNG", exif=exif, compress_level=1))
    assert peak_kib(tmp_path / "large.png", 6_291_456) < 512 * 1024


def test_the_largest_picture_needs_no_more_where_it_hardly_fails_to_fit(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    grain = Image.effect_noise((1000, 500), 100).convert("RGB").resize((10_000, 5_000), Image.Resampling.BILINEAR)
    grain.save(tmp_path / "large.jpg", exif=exif, quality=93)
    assert peak_kib(tmp_path / "large.jpg", 0) < 512 * 1024


def peak_kib(file: Path, payload_limit: int) -> int:
    command = [sys.executable, "-c", MEMORY_PROBE, str(file), str(payload_limit)]
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
