"""A picture's kind and size from its headers alone, to tell which pictures can be sent as they are.

Sources: ITU-T T.81 (JPEG's markers), EXIF 2.32 section 4 (orientation), PNG third edition sections 5 and 11.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PAYLOAD_LIMIT = 6_291_456  # bytes; InvokeEndpoint takes no more
PIXEL_LIMIT = 50_000_000  # what detector_container decodes: a picture is refused here, or nowhere

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_BEGINNINGS = {
    _JPEG: "image/jpeg",
    _PNG: "image/png",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"BM": "image/bmp",
}
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevm", b"hevs", b"mif1", b"msf1"), "image/heic"
)
_FRAME_HEADERS = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, Huffman coded: what every decoder reads
_OTHER_FRAME_HEADERS = set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_EOI = b"\xff\xd9"
_SOS, _APP1, _APP14 = 0xDA, 0xE1, 0xEE
_ORIENTATION = 0x0112
_XMP_ORIENTATION = b"tiff:Orientation"  # of JPEG's XMP, which has no other segment
_TEXTS, _METADATA = (b"tEXt", b"zTXt", b"iTXt"), (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's headers say; `width` and `height` are of the stored picture, in pixels."""

    content_type: str
    width: int
    height: int
    is_plain: bool  # upright, three channels of eight bits, complete: any detector reads it as it is

    @property
    def is_bomb(self) -> bool:
        """Whether the picture claims more pixels than are ever decoded."""
        return self.width * self.height > PIXEL_LIMIT

    def passes(self, size: int) -> bool:
        """Tell whether a picture of so many bytes goes to the model untouched."""
        return self.is_plain and not self.is_bomb and size <= PAYLOAD_LIMIT


def recognised(body: bytes) -> str | None:
    """Return the content type that the first bytes tell, of a broken picture too; None where they tell of none."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp":
        return _BRANDS.get(body[8:12])
    return next((kind for beginning, kind in _BEGINNINGS.items() if body.startswith(beginning)), None)


def sniff(body: bytes) -> Header | None:
    """Return the header of a JPEG or PNG, None for anything else and for headers that can't be followed."""
    try:
        if body.startswith(_JPEG):
            return _jpeg(body)
        if body.startswith(_PNG):
            return _png(body)
    except (struct.error, IndexError):
        pass  # a header that ends too early: the decoder is asked what it makes of it
    return None


def _jpeg(body: bytes) -> Header | None:
    frame: Header | None = None
    is_plain = True
    for marker, start, end in _segments(body):
        content = body[start:end]
        if marker in _FRAME_HEADERS or marker in _OTHER_FRAME_HEADERS:
            bits, height, width, components = struct.unpack_from(">BHHB", content)
            is_common = marker in _FRAME_HEADERS and bits == 8 and components == 3 and width > 0 and height > 0
            frame = Header("image/jpeg", width, height, is_common)
        elif marker == _APP1 and content.startswith(b"Exif\0\0"):
            is_plain = is_plain and _orientation(content[6:]) == 1
        elif marker == _APP1:
            is_plain = is_plain and _XMP_ORIENTATION not in content
        elif marker == _APP14 and content.startswith(b"Adobe"):
            is_plain = is_plain and content[11] == 1  # YCbCr; anything else is read differently by different decoders
        elif marker == _SOS:
            # The end is looked for behind the headers: an embedded thumbnail has an end of its own.
            is_plain = is_plain and body.find(_EOI, end) > 0
            break
    else:
        return None
    return frame and Header(frame.content_type, frame.width, frame.height, frame.is_plain and is_plain)


def _segments(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker and content bounds of each segment, as far as the first scan's."""
    at = 2
    while at + 4 <= len(body):
        if body[at] != 0xFF:
            return
        marker = body[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _STANDALONE:
            at += 2
        else:
            length = int.from_bytes(body[at + 2 : at + 4], "big")
            yield marker, at + 4, at + 2 + length
            if marker == _SOS:
                return
            at += 2 + max(length, 2)


def _orientation(tiff: bytes) -> int:
    """Return the orientation of EXIF data (1: upright); 0 where it can't be read, so that a decoder is asked."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * index)
            if tag == _ORIENTATION:
                return int(value) if kind == 3 and count == 1 else 0
    except struct.error:
        return 0
    return 1


def _png(body: bytes) -> Header | None:
    is_plain, is_complete, at = True, False, 33  # the first chunk, IHDR, has a fixed size
    width, height, bits, colour = struct.unpack_from(">IIBB", body, 16)
    if body[12:16] != b"IHDR" or width == 0 or height == 0:
        return None
    while at + 12 <= len(body) and not is_complete:
        (length,) = struct.unpack_from(">I", body, at)
        kind, start, at = body[at + 4 : at + 8], at + 8, at + 12 + length
        if kind == b"eXIf":
            is_plain = is_plain and _orientation(body[start : at - 4]) == 1
        # Older programs put EXIF data and XMP into text, compressed at will: a decoder is asked.
        is_plain = is_plain and not (kind in _TEXTS and body.startswith(_METADATA, start))
        # Transparency and animation are laid out by the decoder.
        is_plain = is_plain and kind not in {b"tRNS", b"acTL"}
        is_complete = kind == b"IEND" and at <= len(body)
    return Header("image/png", width, height, is_plain and is_complete and (bits, colour) == (8, 2))
