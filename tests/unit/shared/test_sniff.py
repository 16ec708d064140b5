import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from dropspot.sniff import PAYLOAD_LIMIT, Header, sniff


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def without_orientation() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    return exif


def text(key: str, value: str) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(key, value) if key.startswith("XML") else chunks.add_text(key, value, zip=True)
    return chunks


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
RGB = Image.effect_noise((70, 30), 50).convert("RGB")
JPEG, PNG = encoded(RGB, "JPEG"), encoded(RGB, "PNG")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (JPEG, "image/jpeg"),
        (encoded(RGB, "JPEG", progressive=True), "image/jpeg"),
        (encoded(RGB, "JPEG", exif=turned(1)), "image/jpeg"),
        (encoded(RGB, "JPEG", subsampling=0, quality=100, comment=b"\xff\xd9 no end"), "image/jpeg"),
        (encoded(RGB, "JPEG", restart_marker_blocks=1), "image/jpeg"),
        (JPEG + b"trailing bytes", "image/jpeg"),
        (PNG, "image/png"),
        (encoded(RGB, "PNG", exif=turned(1)), "image/png"),
        (PNG + b"trailing bytes", "image/png"),
    ],
)
def test_a_plain_picture_is_told_by_its_headers(body: bytes, kind: str) -> None:
    header = sniff(body)
    assert (header.content_type, header.width, header.height, header.is_plain) == (kind, 70, 30, True)


@pytest.mark.parametrize(
    "body",
    [
        encoded(RGB, "JPEG", exif=turned(6)),
        encoded(RGB, "PNG", exif=turned(3)),
        encoded(RGB, "JPEG", xmp=XMP),
        encoded(RGB, "JPEG", xmp=XMP, exif=without_orientation()),
        encoded(RGB, "PNG", pnginfo=text("XML:com.adobe.xmp", XMP.decode())),
        encoded(RGB, "PNG", pnginfo=text("Raw profile type exif", "\nexif\n 4\n00000000\n")),
        encoded(RGB.convert("L"), "JPEG"),
        encoded(RGB.convert("CMYK"), "JPEG"),
        encoded(RGB.convert("L"), "PNG"),
        encoded(RGB.convert("P"), "PNG"),
        encoded(RGB.convert("RGBA"), "PNG"),
        encoded(RGB, "PNG", transparency=(1, 2, 3)),
        encoded(RGB, "PNG", save_all=True, append_images=[Image.new("RGB", RGB.size)]),
        JPEG[:-100],
        PNG[:-12],
        PNG[:100],
    ],
)
def test_a_picture_that_detectors_may_read_differently_is_not_plain(body: bytes) -> None:
    header = sniff(body)
    assert (header.width, header.height, header.is_plain) == (70, 30, False)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    thumbnail = b"Exif\0\0II*\0\x08\0\0\0\0\0" + JPEG
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = JPEG[:2] + segment + JPEG[2:]
    assert sniff(whole).is_plain
    assert not sniff(whole[:-2]).is_plain


def test_fill_bytes_between_segments_are_skipped() -> None:
    assert sniff(JPEG[:2] + b"\xff\xff\xff" + JPEG[2:]).is_plain


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "value", "is_plain"), [(3, 1, True), (3, 8, False), (3, 0, False), (4, 1, False)])
def test_the_orientation_is_read_in_both_byte_orders(order: str, kind: int, value: int, is_plain: bool) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tiff = mark + struct.pack(f"{order}IHHHIHH", 8, 1, 0x0112, kind, 1, value, 0)
    exif = b"Exif\0\0" + tiff
    body = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    assert sniff(body).is_plain is is_plain


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0XX*\0\0\0\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_broken_exif_data_is_left_to_a_decoder(exif: bytes) -> None:
    body = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    assert not sniff(body).is_plain


def test_an_adobe_jpeg_that_is_stored_as_rgb_is_not_plain() -> None:
    adobe = b"Adobe\0\x64\0\0\0\0\0"
    body = JPEG[:2] + b"\xff\xee" + struct.pack(">H", len(adobe) + 2) + adobe + JPEG[2:]
    assert not sniff(body).is_plain


@pytest.mark.parametrize("body", [b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", JPEG[:30], PNG[:20]])
def test_what_has_no_readable_header_is_left_to_a_decoder(body: bytes) -> None:
    assert sniff(body) is None


def test_a_long_text_chunk_is_skipped() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "IEND" * 10_000)
    assert sniff(encoded(RGB, "PNG", pnginfo=info)).is_plain


@given(st.binary(max_size=200), st.sampled_from([JPEG[:4], PNG[:8], JPEG[:200], PNG[:60]]))
def test_no_bytes_make_it_fail(tail: bytes, beginning: bytes) -> None:
    header = sniff(beginning + tail)
    assert header is None or header.width >= 0


@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255))
def test_a_changed_byte_makes_it_fail_never(at: int, value: int) -> None:
    sniff(JPEG[:at] + bytes([value]) + JPEG[at + 1 :])
    sniff(PNG[: at % len(PNG)] + bytes([value]) + PNG[at % len(PNG) + 1 :])


@pytest.mark.parametrize(
    ("header", "size", "passes"),
    [
        (Header("image/jpeg", 5000, 10_000, is_plain=True), PAYLOAD_LIMIT, True),
        (Header("image/jpeg", 5000, 10_000, is_plain=True), PAYLOAD_LIMIT + 1, False),
        (Header("image/jpeg", 5001, 10_000, is_plain=True), 1, False),
        (Header("image/jpeg", 10, 10, is_plain=False), 1, False),
    ],
)
def test_only_a_plain_picture_within_the_limits_passes(header: Header, size: int, passes: bool) -> None:
    assert header.passes(size) is passes
