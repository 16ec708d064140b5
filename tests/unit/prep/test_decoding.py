import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from dropspot_imaging.upright import MAX_PIXELS, orientation, strips, three_channels, turned
from prep import jpeg
from prep.decoding import Decoded, DecodeTask, Look, Undecodable, decode
from prep.pixels import fitted_size


def decoded(
    content: bytes | Path, folder: Path, shorter_side: int = 512, look: Look = Look.QUICK
) -> Decoded | Undecodable:
    stored = content if isinstance(content, Path) else folder / "source"
    if isinstance(content, bytes):
        stored.write_bytes(content)
    return decode(DecodeTask(0, stored, shorter_side, folder, look))


def payload(outcome: Decoded, folder: Path) -> Path:
    return folder / ("source" if outcome.passes else "00000000.jpg")


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def blocks(size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """A picture whose left half is dark and whose upper right quarter is bright: every orientation looks different."""
    picture = Image.new("L", size, 40)
    picture.paste(120, (size[0] // 2, 0, size[0], size[1]))
    picture.paste(240, (size[0] // 2, 0, size[0], size[1] // 2))
    return picture.convert(mode)


def noise(size: tuple[int, int], seed: int = 3) -> Image.Image:
    """A picture of which no two parts are alike, with coarse and fine detail."""
    draw = random.Random(seed)
    fine = Image.frombytes("RGB", size, draw.randbytes(size[0] * size[1] * 3))
    coarse = Image.frombytes("RGB", (4, 4), draw.randbytes(48)).resize(size, Image.Resampling.BICUBIC)
    return Image.blend(coarse, fine, 0.2)


def test_a_jpeg_that_fits_passes_through_byte_for_byte(tmp_path: Path) -> None:
    source = encoded(blocks(), "JPEG", quality=77)
    outcome = decoded(source, tmp_path)
    assert isinstance(outcome, Decoded)
    assert outcome.passes
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [source]


def as_held(upright: Image.Image, stated: int, kind: str, **options: Any) -> bytes:
    """The file of a camera that was held so that this orientation brings the picture upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse of what a viewer does
    stored = upright.transpose(Image.Transpose(undo[stated])) if stated in undo else upright
    exif = Image.Exif()
    exif[0x0112] = stated
    return encoded(stored, kind, exif=exif, **options)


MODES = {
    "PNG": ("RGB", "RGBA", "P", "1", "LA", "I;16"),
    "JPEG": ("L", "CMYK"),
    "GIF": ("P",),
    "BMP": ("RGB",),
    "TIFF": ("RGB", "F"),
    "WEBP": ("RGBA",),
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_every_format_and_mode_becomes_a_three_channel_jpeg_of_the_same_look(kind, mode, tmp_path: Path) -> None:
    picture = blocks(mode="L")
    source = picture.point(lambda v: v * 257, "I").convert("I;16") if mode == "I;16" else picture.convert(mode)
    outcome = decoded(encoded(source, kind), tmp_path)
    assert isinstance(outcome, Decoded)
    with Image.open(payload(outcome, tmp_path)) as result:
        assert (result.format, result.mode, result.size) == ("JPEG", "RGB", (64, 48))
        dark, bright = result.getpixel((10, 24)), result.getpixel((50, 10))
    assert max(dark) < 80 < 200 < min(bright)


@pytest.mark.parametrize("stated", range(1, 9))
def test_exif_orientation_is_applied(stated: int, tmp_path: Path) -> None:
    upright = blocks((96, 64))
    outcome = decoded(as_held(upright, stated, "JPEG", quality=95), tmp_path)
    assert isinstance(outcome, Decoded)
    assert (outcome.width, outcome.height) == (96, 64)
    with Image.open(payload(outcome, tmp_path)) as result:
        assert result.getexif().get(0x0112, 1) == 1
        corners = [result.getpixel(at)[0] for at in ((10, 10), (10, 54), (86, 10), (86, 54))]
    assert corners == pytest.approx([40, 40, 240, 120], abs=12)


def test_the_shorter_side_is_brought_down_and_never_up(tmp_path: Path) -> None:
    outcome = decoded(encoded(blocks((400, 300)), "JPEG"), tmp_path, shorter_side=100)
    assert isinstance(outcome, Decoded)
    assert (outcome.width, outcome.height, outcome.payload_width, outcome.payload_height) == (400, 300, 133, 100)
    with Image.open(payload(outcome, tmp_path)) as result:
        assert result.size == (133, 100)
    assert fitted_size(400, 300, 300) == (400, 300)
    assert fitted_size(3, 3000, 2) == (2, 2000)


def test_transparency_turns_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (16, 16), (200, 0, 0, 0))
    assert three_channels(clear).getpixel((3, 3)) == (255, 255, 255)
    assert isinstance(decoded(encoded(clear, "PNG"), tmp_path), Decoded)


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    outcome = decoded(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), tmp_path)
    assert isinstance(outcome, Decoded)
    with Image.open(payload(outcome, tmp_path)) as result:
        assert result.getpixel((5, 5))[0] > 200


@pytest.mark.parametrize("look", [Look.IN_COLOUR, Look.WHOLE])
def test_the_pixels_identify_a_picture_whatever_its_encoding(look: Look, tmp_path: Path) -> None:
    source = encoded(noise((300, 600)), "JPEG", quality=70)
    with Image.open(io.BytesIO(source)) as picture:
        picture.load()
    outcomes = [
        decoded(content, tmp_path, look=look)
        for content in (source, *(encoded(picture, k) for k in ("PNG", "BMP", "TIFF")))
    ]
    assert len({o.identity.digest for o in outcomes if isinstance(o, Decoded)}) == 1
    assert all(isinstance(o, Decoded) for o in outcomes)
    on_its_side = decoded(encoded(picture.transpose(Image.Transpose.ROTATE_90), "PNG"), tmp_path, look=look)
    assert isinstance(on_its_side, Decoded)
    assert on_its_side.identity.digest not in {o.identity.digest for o in outcomes if isinstance(o, Decoded)}


@pytest.mark.parametrize("stated", [1, 6])
@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
def test_the_pixels_are_the_same_by_whatever_library(kind: str, stated: int, tmp_path: Path) -> None:
    picture = noise((301, 203))
    options = {"lossless": True} if kind == "WEBP" else {}
    one, other = (
        decoded(as_held(picture, stated, kind, **options), tmp_path),
        decoded(encoded(picture, "BMP"), tmp_path),
    )
    assert isinstance(one, Decoded)
    assert isinstance(other, Decoded)
    assert (one.width, one.height, one.identity.digest) == (301, 203, other.identity.digest)


@pytest.mark.parametrize("cut", [0, 1, 30, 200, 0.5, 0.97])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_truncated_picture_is_not_used(kind: str, cut: float, tmp_path: Path) -> None:
    draw = random.Random(5)
    noise = Image.frombytes("RGB", (64, 64), draw.randbytes(64 * 64 * 3))
    content = encoded(noise, kind)
    outcome = decoded(content[: cut if isinstance(cut, int) else int(len(content) * cut)], tmp_path)
    assert isinstance(outcome, Undecodable)
    assert outcome.code == "corrupt_image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_flipped_bits_never_raise(kind: str, tmp_path: Path) -> None:
    draw = random.Random(kind)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(blocks((48, 32)), kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(draw.randrange(1, 6)):
            damaged[draw.randrange(min(len(damaged), 200))] ^= 1 << draw.randrange(8)
        outcome = decoded(bytes(damaged), tmp_path)
        assert isinstance(outcome, Undecodable) or payload(outcome, tmp_path).stat().st_size


def verdict(decode_it: Callable[[bytes], object], source: bytes) -> str:
    try:
        decode_it(source)
    except (jpeg.DamagedError, jpeg.IncompleteError) as error:
        return repr(error)
    return "whole"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}], ids=str)
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_damage_is_found_by_the_luma_alone_as_by_all_colours(options: dict[str, Any], subsampling: int) -> None:
    draw, verdicts = random.Random(f"{options}{subsampling}"), set()
    sources = [encoded(noise((90, 70), seed), "JPEG", subsampling=subsampling, **options) for seed in range(4)]
    for _ in range(400):
        damaged = bytearray(draw.choice(sources))
        for _ in range(draw.randrange(4)):
            damaged[draw.randrange(2, len(damaged))] = draw.randrange(256)
        cut = draw.choice((len(damaged), len(damaged), draw.randrange(20, len(damaged))))
        source = bytes(damaged[:cut])
        found = verdict(jpeg.luma, source)
        assert found == verdict(jpeg.pixels, source)
        verdicts.add(found)
    assert "whole" in verdicts
    assert len(verdicts) > 8


def test_a_jpegs_luma_is_what_pillow_has_of_it() -> None:
    source = encoded(noise((90, 70)), "JPEG")
    with Image.open(io.BytesIO(source)) as opened:
        opened.draft("L", opened.size)
        assert jpeg.luma(source).tobytes() == opened.tobytes()


def test_jpegs_of_the_same_pixels_are_known_by_the_same_luma_or_by_their_colours(tmp_path: Path) -> None:
    several = 0  # drawings of which this is worth asking
    for seed in range(40):
        draw = random.Random(seed)
        drawing = Image.new("RGB", (2, 2))
        drawing.putdata([tuple(draw.choices((0, 255), k=3)) for _ in range(4)])
        drawing = drawing.resize((64, 64), Image.Resampling.NEAREST)
        lumas: dict[bytes, set[bytes]] = {}
        known_by: dict[bytes, set[str]] = {}
        for quality in range(40, 100, 4):
            source = encoded(drawing, "JPEG", quality=quality, subsampling=0)
            outcome, of_it = decoded(source, tmp_path), jpeg.pixels(source).tobytes()
            assert isinstance(outcome, Decoded)
            lumas.setdefault(of_it, set()).add(jpeg.luma(source).tobytes())
            if not outcome.identity.in_colour:
                known_by.setdefault(of_it, set()).add(outcome.identity.digest)
        several += any(len(of_it) > 1 for of_it in lumas.values())
        assert all(len(of_it) == 1 for of_it in known_by.values())
    assert several


def test_a_jpeg_of_a_sampling_that_only_pillow_knows_is_read(tmp_path: Path) -> None:
    source = bytearray(encoded(noise((64, 64)), "JPEG", subsampling=2))
    sampling = source.index(b"\xff\xc0") + 11
    assert source[sampling] == 0x22
    source[sampling] = 0x14  # as many blocks, not two by two but one by four
    assert jpeg.read_header(bytes(source)) is None
    outcome = decoded(bytes(source), tmp_path)
    assert isinstance(outcome, Decoded)
    assert (outcome.width, outcome.height, outcome.passes) == (64, 64, False)


@pytest.mark.parametrize("length", [3, 60, 300])
def test_of_a_jpeg_that_ends_in_its_head_the_reason_is_told(length: int, tmp_path: Path) -> None:
    outcome = decoded(encoded(noise((64, 48)), "JPEG")[:length], tmp_path)
    assert isinstance(outcome, Undecodable)
    assert "Error" not in outcome.reason


def test_trouble_with_the_disk_is_not_the_pictures_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decoded(tmp_path / "gone.jpg", tmp_path)
    source = tmp_path / "source.png"
    source.write_bytes(encoded(blocks(), "PNG"))
    with pytest.raises(FileNotFoundError):
        decode(DecodeTask(0, source, 512, tmp_path / "no such folder"))


@given(width=st.integers(1, 90), height=st.integers(1, 90), stated=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_orientation_gives_the_same_upright_pixels(width: int, height: int, stated: int, seed: int) -> None:
    upright = noise((width, height), seed)
    with TemporaryDirectory() as folder:
        plain = decoded(encoded(upright, "PNG"), Path(folder))
        held = decoded(as_held(upright, stated, "PNG"), Path(folder))
    assert isinstance(plain, Decoded)
    assert isinstance(held, Decoded)
    assert (held.width, held.height, held.identity.digest) == (width, height, plain.identity.digest)


@given(width=st.integers(8, 200), height=st.integers(8, 200), stated=st.integers(1, 8), side=st.integers(1, 220))
@settings(max_examples=40, deadline=None)
def test_a_turned_jpeg_is_what_pillow_makes_of_it(width: int, height: int, stated: int, side: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = stated
    source = encoded(noise((width, height)), "JPEG", exif=exif)
    with Image.open(io.BytesIO(source)) as opened:
        as_png = encoded(turned(three_channels(opened), orientation(opened)), "PNG")
    with TemporaryDirectory() as folder:
        outcome, same = (decoded(one, Path(folder), side, Look.IN_COLOUR) for one in (source, as_png))
    assert isinstance(outcome, Decoded)
    assert isinstance(same, Decoded)
    assert outcome.identity.digest == same.identity.digest
    assert (outcome.payload_width, outcome.payload_height) == (same.payload_width, same.payload_height)
    assert min(outcome.payload_width, outcome.payload_height) <= side


@given(width=st.integers(1, 150), height=st.integers(1, 150), rows=st.integers(1, 60), stated=st.integers(0, 8))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "CMYK", "1", "I;16", "I", "F"])
def test_a_picture_in_strips_is_the_whole_picture(mode: str, width: int, height: int, rows: int, stated: int) -> None:
    picture = noise((width, height))
    if mode == "I;16":
        picture = picture.convert("L").point(lambda v: v * 257, "I").convert("I;16")
    elif mode == "RGBA":
        picture.putalpha(picture.convert("L"))
    else:
        picture = picture.convert(mode)
    whole = turned(three_channels(picture), stated)
    assert b"".join(strip.tobytes() for strip in strips(picture, stated, rows)) == whole.tobytes()


@given(width=st.integers(8, 300), height=st.integers(8, 300), side=st.integers(4, 300), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_same_file_gives_the_same_bytes_every_time(width: int, height: int, side: int, seed: int) -> None:
    results = []
    for kind in ("JPEG", "PNG"):
        source = encoded(noise((width, height), seed), kind)
        with TemporaryDirectory() as one, TemporaryDirectory() as other:
            for folder in (one, other):
                outcome = decoded(source, Path(folder), side)
                assert isinstance(outcome, Decoded)
                content = payload(outcome, Path(folder)).read_bytes()
                assert jpeg.digest(content) == outcome.payload_digest
                assert (content == source) == (kind == "JPEG" and min(width, height) <= side)
                results.append((content, outcome.identity.digest))
    assert results[0] == results[1]
    assert results[2] == results[3]


@pytest.mark.parametrize(
    ("factor", "kind"), [(1.4, "JPEG"), (2.7, "JPEG"), (3.7, "JPEG"), (1.4, "PNG"), (5.3, "PNG"), (9, "PNG")]
)
def test_scaling_keeps_every_part_of_the_picture_in_its_place(factor: float, kind: str, tmp_path: Path) -> None:
    size = (round(96 * factor), round(64 * factor))
    smooth = Image.frombytes("RGB", (6, 4), random.Random(1).randbytes(72)).resize(size, Image.Resampling.BICUBIC)
    outcome = decoded(encoded(smooth, kind, **({"quality": 98} if kind == "JPEG" else {})), tmp_path, shorter_side=64)
    assert isinstance(outcome, Decoded)
    with Image.open(payload(outcome, tmp_path)) as result:
        expected = smooth.resize(result.size, Image.Resampling.BOX)
        assert max(ImageStat.Stat(ImageChops.difference(expected, result)).rms) < 6


def damaged_jpeg(picture: Image.Image) -> bytes:
    """A JPEG with a few bytes too many before its end: every pixel is there, the decoder complains."""
    return encoded(picture, "JPEG")[:-2] + b"abcdef" * 10 + b"\xff\xd9"


def test_a_jpeg_with_damage_that_decodes_completely_is_used_and_written_anew(tmp_path: Path) -> None:
    picture = noise((64, 48))
    outcome, clean = (
        decoded(content, tmp_path, look=Look.IN_COLOUR) for content in (damaged_jpeg(picture), encoded(picture, "JPEG"))
    )
    assert isinstance(outcome, Decoded)
    assert isinstance(clean, Decoded)
    assert (outcome.remark, clean.remark) == ("damaged_image", "")
    assert not outcome.passes
    assert outcome.identity.digest == clean.identity.digest


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_whose_data_stop_early_is_not_used_even_if_its_end_is_marked(options: Any, tmp_path: Path) -> None:
    source = encoded(noise((200, 200)), "JPEG", **options)
    outcome = decoded(source[: len(source) // 2] + b"\xff\xd9", tmp_path)
    assert isinstance(outcome, Undecodable)
    assert outcome.code == "corrupt_image"


def test_a_jpeg_with_further_pictures_behind_it_is_written_anew(tmp_path: Path) -> None:
    source = encoded(noise((64, 48)), "MPO", save_all=True, append_images=[noise((64, 48), 4)])
    outcome = decoded(source, tmp_path)
    assert isinstance(outcome, Decoded)
    assert not outcome.passes


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_too_many_pixels_are_told_from_the_header(kind: str, tmp_path: Path) -> None:
    source = bytearray(encoded(noise((16, 16)), kind))
    side = int(MAX_PIXELS**0.5) + 1
    if kind == "JPEG":
        at = source.index(b"\xff\xc0") + 5
        source[at : at + 4] = struct.pack(">HH", side, side)
    else:
        source[16:24] = struct.pack(">II", side, side)
        source[29:33] = struct.pack(">I", zlib.crc32(source[12:29]))
    outcome = decoded(bytes(source), tmp_path)
    assert isinstance(outcome, Undecodable)
    assert outcome.code == "image_too_large"


def test_a_picture_too_long_for_a_jpeg_is_named_too_large(tmp_path: Path) -> None:
    outcome = decoded(encoded(Image.new("RGB", (70_000, 2)), "PNG"), tmp_path)
    assert outcome == Undecodable("image_too_large", "its 70000 x 2 are more than a JPEG's 65,500 pixels to a side")


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe1\0\x20Exif\0\0", b"GIF89a", b"BM"]),
)
@settings(max_examples=200, deadline=None)
def test_hostile_bytes_never_raise(content: bytes, beginning: bytes) -> None:
    with TemporaryDirectory() as folder:
        assert isinstance(decoded(beginning + content, Path(folder)), Undecodable | Decoded)
