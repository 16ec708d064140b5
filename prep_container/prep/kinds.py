"""What a file is good for, told from its path and its first bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dropspot.sniff import recognised
from prep.model import Kind

PLAN_NAME = "training.json"  # a plan that lies in the data set itself
HEAD_BYTES = 512  # enough for every signature below, and for a line of a YOLO label
SUFFIX_FORMATS = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "JPEG"),
    **dict.fromkeys(("tif", "tiff"), "TIFF"),
    **{suffix: suffix.upper() for suffix in ("png", "gif", "bmp", "webp")},
}
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
_FOREIGN_ARCHIVES = (".rar", ".7z", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".gz", ".zst")
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
# With a year, as COCO's: `val2017.txt`.
_LISTS = re.compile(r"list|(train|training|val|valid|validation|trainval|test|testing|test-dev)(\d{4})?")
_ANNOTATION_SUFFIXES = frozenset({"xml", "json", "jsonl", "manifest", "txt"})
_NAMES = frozenset({"classes", "_classes", "class_names", "predefined_classes", "names", "labels"})
_NAMES_SUFFIXES = frozenset({"names", "labels", "yaml", "yml"})
_LABEL_LINE = re.compile(rb"(?:\xef\xbb\xbf)?\s*[0-9]+(?:[ \t]+[-+0-9.eE]+){4}\s")
_NUMBERED = re.compile(r" \([0-9]+\)$")
_MASK_FOLDERS = frozenset({"trimaps", "segmentationclass", "segmentationobject"})


def _compiled(beginnings: Mapping[str, bytes]) -> dict[str, re.Pattern[bytes]]:
    return {name: re.compile(beginning, re.DOTALL) for name, beginning in beginnings.items()}


_UNSUPPORTED = _compiled(
    {
        "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
        "JPEG XL": rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",
        "PSD": rb"8BPS\0",
        "OpenEXR": rb"\x76\x2f\x31\x01",
        "DDS": rb"DDS \x7c\0\0\0",
        "DICOM": rb".{128}DICM",
        # The own signatures of these three could be a number: fields of few values speak for them.
        "ICO": rb"\0\0\x01\0[^\0]\0.{3}\0",
        "SGI": rb"\x01\xda[\0\1][\1\2]\0[\1-\3]",
        "PCX": rb"\n[\0\2-\5][\0\1][\1\2\4\x08].{60}\0",
        "SVG": rb"(?:\xef\xbb\xbf)?(?:\s++|<\?.*?\?>|<!--.*?-->)*+<(?:!DOCTYPE\s+)?svg[\s:>]",
    }
)
_NETPBM = rb"(?:\s+(?:#[^\n]*\n\s*)*[1-9][0-9]{0,5}){2}\s"
# Something else may begin so too: it must be called so, or like a picture that is read.
_UNSUPPORTED_IF_NAMED = _compiled(
    {
        "PBM": rb"P[14]" + _NETPBM,
        "PGM": rb"P[25]" + _NETPBM,
        "PPM": rb"P[36]" + _NETPBM,
        "PAM": rb"P7\s+WIDTH\s",
        "TGA": rb".[\0\1][\1-\3\x09-\x0b\x20\x21].{9}(?!\0\0)..(?!\0\0)..[\1\x08\x0f\x10\x18\x20]",
        "SVG": rb"(?:\xef\xbb\xbf)?(?:\s++|<\?.*?\?>|<!--.*?-->)*+<!--",  # a comment that is longer than the head
    }
)
_SUFFIXES = {
    **dict.fromkeys(("PBM", "PGM", "PPM", "PAM"), frozenset({"pbm", "pgm", "ppm", "pnm", "pam", *SUFFIX_FORMATS})),
    "TGA": frozenset({"tga", "icb", "vda", "vst", *SUFFIX_FORMATS}),
    "SVG": frozenset({"svg"}),
}
SYSTEM_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was recognised; `code` and `reason` say why a file of the kind OTHER is not used."""

    kind: Kind
    image_format: str = ""
    reason: str = ""
    code: str = "unsupported_file"


def image_format(head: bytes) -> str:
    """The picture format that a file's first bytes announce, or ""."""
    for signature, name in (
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
    ):
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    # Two letters are little evidence: in a bitmap the size of its second header follows, one of a few.
    return "BMP" if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS else ""


def unsupported_format(name: str, head: bytes) -> str:
    """The picture format that is not read of which a file's first bytes tell, or ""."""
    kind = recognised(head)
    if kind in ("image/avif", "image/heic"):
        return kind.removeprefix("image/").upper()
    ending = suffix(name)
    told = (found for found, beginning in _UNSUPPORTED.items() if beginning.match(head))
    named = (
        found
        for found, beginning in _UNSUPPORTED_IF_NAMED.items()
        if ending in _SUFFIXES[found] and beginning.match(head)
    )
    return next(told, "") or next(named, "")


def suffix(name: str) -> str:
    """The last suffix in lower case without its dot: `a.tar.GZ` -> `gz`; the number of an equal path is passed over."""
    return _NUMBERED.sub("", name.rpartition(".")[2]).lower() if "." in name.lstrip(".") else ""


def is_archive(name: str) -> bool:
    """Whether a file is to be unpacked; which kind of archive it is, its content tells later."""
    return name.lower().endswith(ARCHIVE_SUFFIXES) and not name.startswith("._")


def archive_stem(path: str) -> str:
    """The name of the archive at this path, without what makes it one: `data/train.tar.gz` -> `train`."""
    name = path.rpartition("/")[2].lower()
    return name.removesuffix(next((ending for ending in ARCHIVE_SUFFIXES if name.endswith(ending)), ""))


def classify(path: str, head: bytes) -> Verdict:
    """Recognise a file by its path in the data set ("/" between parts) and its first HEAD_BYTES bytes."""
    name = path.rpartition("/")[2]
    kind, found = Kind.OTHER, image_format(head)
    reason, unsupported = _ignored(path), ""
    if not reason:
        if path == PLAN_NAME:
            kind = Kind.PLAN
        elif not found and (unsupported := unsupported_format(name, head)):
            reason = f"its content is {unsupported}, which data sets may not hold: convert it to JPEG or PNG"
        elif found or suffix(name) in SUFFIX_FORMATS:
            kind = Kind.PICTURE
        elif _is_list(path, head):
            kind = Kind.LIST
        elif _names_classes(name, head):
            kind = Kind.NAMES
        elif suffix(name) in _ANNOTATION_SUFFIXES:
            kind = Kind.ANNOTATION
        else:
            reason = _foreign(name)
    code = "unsupported_image" if unsupported else "unsupported_file"
    return Verdict(kind, found if kind is Kind.PICTURE else "", reason, code)


def _ignored(path: str) -> str:
    """Why a file is passed over whatever its suffix or content, or ""."""
    *folders, name = path.lower().split("/")
    if name.startswith("._") or "__macosx" in folders:
        return "metadata that macOS adds to archives and folders"
    if name in SYSTEM_FILES:
        return "a file of the operating system's file browser"
    return "a segmentation mask; only boxes are trained" if _MASK_FOLDERS & set(folders) else ""


def _is_list(path: str, head: bytes) -> bool:
    *folders, name = path.lower().split("/")
    if suffix(name) != "txt":
        return False
    return folders[-2:] == ["imagesets", "main"] or (_LISTS.fullmatch(name[:-4]) is not None and not _is_label(head))


def _names_classes(name: str, head: bytes) -> bool:
    name = name.lower()
    if suffix(name) == "txt":
        return name[:-4] in _NAMES and not _is_label(head)
    return suffix(name) in _NAMES_SUFFIXES


def _is_label(head: bytes) -> bool:
    """Whether a text begins like a YOLO label, which may belong to a picture called test.jpg."""
    return _LABEL_LINE.match(head + b"\n") is not None


def _foreign(name: str) -> str:
    if is_archive(name):
        return "an archive inside an archive; upload it by itself"
    if name.lower().endswith(_FOREIGN_ARCHIVES):
        return "this kind of archive is not read; use .tar.gz, .tar or .zip"
    return "neither a picture nor an annotation"


def wrong_extension(name: str, found: str) -> bool:
    """Whether a picture's name promises another format than its content has; a name without suffix promises nothing."""
    return bool(suffix(name)) and SUFFIX_FORMATS.get(suffix(name)) != found
