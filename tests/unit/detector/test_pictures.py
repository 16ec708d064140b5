"""Every kind of picture comes out as upright RGB, or is refused with a sentence."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.pictures import MAX_PIXELS, PictureTooLargeError, read_picture
from dropspot.errors import InvalidInputError


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode: str, left: object, right: object) -> Image.Image:
    picture = Image.new(mode, (40, 20), left)  # type: ignore[arg-type]
    picture.paste(right, (20, 0, 40, 20))  # type: ignore[call-overload]
    return picture


def colour_at(picture: Image.Image, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(picture)[y, x])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_formats_are_told_by_content(kind: str) -> None:
    picture = read_picture(encoded(halves("RGB", (250, 0, 0), (0, 0, 250)), kind))
    assert picture.mode == "RGB"
    assert picture.size == (40, 20)
    assert colour_at(picture, 5, 10)[0] > 200 > 60 > colour_at(picture, 35, 10)[0]


def test_grey_cmyk_and_palette_become_rgb() -> None:
    assert colour_at(read_picture(encoded(halves("L", 10, 200), "PNG")), 35, 10) == (200, 200, 200)
    assert colour_at(read_picture(encoded(halves("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "JPEG")), 35, 10)[0] < 20
    palette = halves("RGB", (250, 0, 0), (0, 0, 250)).convert("P")
    assert colour_at(read_picture(encoded(palette, "PNG")), 35, 10)[2] > 200


def test_what_is_transparent_becomes_white() -> None:
    picture = read_picture(encoded(halves("RGBA", (250, 0, 0, 255), (0, 0, 0, 0)), "PNG"))
    assert colour_at(picture, 5, 10) == (250, 0, 0)
    assert colour_at(picture, 35, 10) == (255, 255, 255)


def test_sixteen_bits_become_eight() -> None:
    values = np.full((20, 40), 65535, np.uint16)
    values[:, :20] = 32768
    picture = read_picture(encoded(Image.fromarray(values), "PNG"))
    assert colour_at(picture, 35, 10) == (255, 255, 255)
    assert abs(colour_at(picture, 5, 10)[0] - 127) <= 1


def test_a_picture_lying_on_its_side_is_stood_up() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    picture = read_picture(encoded(halves("RGB", (250, 0, 0), (0, 0, 250)), "JPEG", exif=exif))
    assert picture.size == (20, 40)
    assert colour_at(picture, 10, 5)[0] > 200  # what was left is on top


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    picture = read_picture(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert colour_at(picture, 4, 4)[0] > 200


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 30])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="picture"):
        read_picture(data)


def test_a_truncated_picture_is_refused() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    with pytest.raises(InvalidInputError, match="cannot be decoded"):
        read_picture(encoded(noise, "JPEG")[:-400])


def test_a_bomb_is_refused_by_its_header() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    bomb = encoded(Image.new("1", (side, side)), "PNG")
    assert len(bomb) < 100_000
    with pytest.raises(PictureTooLargeError, match="pixels"):
        read_picture(bomb)


def test_mutated_pictures_give_a_picture_or_a_sentence() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
    rng = np.random.default_rng(4)
    outcomes = set()
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        original = np.frombuffer(encoded(noise, kind), np.uint8)
        for _ in range(100):
            mutated = original.copy()
            places = rng.integers(0, len(mutated), rng.integers(1, 12))
            mutated[places] = rng.integers(0, 256, len(places))
            try:
                outcomes.add(read_picture(mutated.tobytes()).mode)
            except InvalidInputError:
                outcomes.add("refused")
    assert outcomes == {"RGB", "refused"}


def test_the_odd_pictures_of_the_world(shared_datasets: Path) -> None:
    outcomes = {}
    for path in sorted((shared_datasets / "odd-images").iterdir()):
        if path.name == "LICENSE":
            continue
        try:
            outcomes[path.name] = read_picture(path.read_bytes()).mode
        except PictureTooLargeError:
            outcomes[path.name] = "too large"
        except InvalidInputError:
            outcomes[path.name] = "refused"
    refused = {"broken.png", "png_decompression_dos.png", "truncated_image.png", "truncated_jpeg.jpg"}
    assert {name for name, outcome in outcomes.items() if outcome == "refused"} == refused
    assert {name for name, o in outcomes.items() if o == "too large"} == {"decompression_bomb.gif", "l2rgb_read.bmp"}
    assert {o for o in outcomes.values() if o not in ("refused", "too large")} == {"RGB"}
