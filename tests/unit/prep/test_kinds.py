import pytest
from unit.prep.minis import picture_bytes

from prep.kinds import classify, image_format, unsupported_format
from prep.model import Kind

JPEG = b"\xff\xd8\xff\xe0 not really"


def test_a_plan_and_lists_are_recognised() -> None:
    assert classify("training.json", b"{}").kind is Kind.PLAN
    assert classify("other/training.json", b"{}").kind is Kind.ANNOTATION
    assert classify("annotations/trainval.txt", b"").kind is Kind.LIST
    assert classify("VOC/ImageSets/Main/aeroplane_val.txt", b"").kind is Kind.LIST
    assert classify("VOC/ImageSets/Layout/odd.txt", b"").kind is Kind.ANNOTATION


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.xml", Kind.ANNOTATION),
        ("train/_annotations.coco.json", Kind.ANNOTATION),
        ("output.manifest", Kind.ANNOTATION),
        ("lines.JSONL", Kind.ANNOTATION),
        ("labels/a.txt", Kind.ANNOTATION),
        ("README.txt", Kind.ANNOTATION),  # its reader looks closer
        ("data.yaml", Kind.NAMES),
        ("labels/classes.txt", Kind.NAMES),
        ("obj.names", Kind.NAMES),
        ("train/_darknet.labels", Kind.NAMES),
        ("a.csv", Kind.OTHER),
        ("a.jpg (2)", Kind.PICTURE),
        ("a.json (2)", Kind.ANNOTATION),
    ],
)
def test_what_may_hold_annotations_or_classes_is_told_by_its_name(path: str, kind: Kind) -> None:
    assert classify(path, b"").kind is kind


def test_a_label_of_a_picture_called_like_a_list_is_no_list() -> None:
    label = b"0 0.516406 0.425781 0.096875 0.154688\n"
    for name in ("test.txt", "train.txt", "classes.txt"):
        assert classify(f"labels/{name}", label).kind is Kind.ANNOTATION
    assert classify("annotations/test.txt", b"Abyssinian_201 1 1 1\n").kind is Kind.LIST
    assert classify("annotations/test.txt", b"000201 1 1 1\n").kind is Kind.LIST
    assert classify("VOC/ImageSets/Main/test.txt", label).kind is Kind.LIST


def test_a_picture_is_known_by_its_content_or_its_name() -> None:
    assert classify("no_suffix", JPEG).image_format == "JPEG"
    assert classify("text.jpg", b"<html>") == classify("text.png", b"<html>")
    assert (classify("text.jpg", b"<html>").kind, classify("text.jpg", b"<html>").image_format) == (Kind.PICTURE, "")
    assert image_format(b"RIFF\0\0\0\0WEBPVP8 ") == "WEBP"
    assert image_format(b"BMW owners' list, in no particular order at all") == ""


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a\xba", "JPEG XL"),
        (b"\0\0\1\0\1\0\x20\x20\0\0", "ICO"),
        (b"8BPS\0\1", "PSD"),
        (b"\x76\x2f\x31\x01\2", "OpenEXR"),
        (b"\0" * 128 + b"DICM", "DICOM"),
        (picture_bytes(1, kind="DDS"), "DDS"),
        (picture_bytes(1, kind="SGI"), "SGI"),
        (picture_bytes(1, kind="PCX"), "PCX"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <a> -->\n<!DOCTYPE svg PUBLIC 'x' [", "SVG"),
    ],
)
def test_a_picture_of_a_kind_that_is_not_read_is_known_by_its_content(head: bytes, name: str) -> None:
    assert unsupported_format("any", head) == name
    for path in ("a.jpg", "a.avif", "train.txt", "a.xml", "no_suffix"):
        assert (classify(path, head).kind, classify(path, head).code) == (Kind.OTHER, "unsupported_image")
        assert f"its content is {name}, " in classify(path, head).reason
    assert classify("trimaps/a.pgm", head).code == "unsupported_file"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"P6\n64 48\n255\n", "PPM"),
        (b"P5\n# by hand\n# twice\n64 48\n255\n", "PGM"),
        (b"P2\n8 8\n255\n", "PGM"),
        (b"P1 640 480 ", "PBM"),
        (b"P7\nWIDTH 64\n", "PAM"),
        (picture_bytes(1, kind="TGA"), "TGA"),
        (picture_bytes(1, kind="TGA", compression="tga_rle"), "TGA"),
        (b"<?xml version='1.0'?>\n<!-- drawn by" + b" " * 500, "SVG"),
    ],
)
def test_of_what_may_be_a_picture_its_name_decides(head: bytes, name: str) -> None:
    named = {"TGA": ("a.tga", "a.TGA", "a.jpg"), "SVG": ("a.svg",)}
    for path in named.get(name, ("a.ppm", "a.pgm", "a.jpg")):
        assert unsupported_format(path, head) == name
        assert classify(path, head).code == "unsupported_image"
    for path in ("classes.txt", "train.txt", "no_suffix"):
        assert unsupported_format(path, head) == ""


@pytest.mark.parametrize(
    "head",
    [
        *(b"", JPEG, b"P1 1 2\nP2 0 1\n", b"P5 was here", b"\0\0\1\0", b"\0\0\0\x18ftypmp42"),
        *(
            b"\0" * 18,
            b"\n" * 512,
            b"\n\0a\0" * 30,
            b"\x01\xda",
            b"<svgs>",
            b"<html><svg>",
            b"<annotation><!-- <svg> -->",
        ),
    ],
)
def test_what_only_begins_a_little_like_a_picture_is_none(head: bytes) -> None:
    assert unsupported_format("any", head) == ""
    assert unsupported_format("any.tga", head) == unsupported_format("any.svg", head) == ""
    assert classify("list.txt", head).kind is (Kind.PICTURE if head == JPEG else Kind.LIST)
    assert classify("a.avif", b"<html>").code == "unsupported_file"
