from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.prep.minis import MiniDataset, seeded, voc_xml

from dropspot.preparation_plan import PreparationPlan
from prep.model import Annotation, Kind, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.readers import read_annotations

LABELIMG = """<annotation verified="yes">
  <folder>JPEGImages</folder><filename> BloodImage_00000.jpg </filename><path>/home/pi/x.jpg</path>
  <size><width>640</width><height>480</height><depth>3</depth></size>
  <object><name>WBC</name><difficult>0</difficult>
    <bndbox><xmin>260</xmin><ymin>177</ymin><xmax>491.5</xmax><ymax>376</ymax></bndbox></object>
  <object><bndbox><ymax>4</ymax><xmax>3</xmax><ymin>2</ymin><xmin>1</xmin></bndbox><difficult>1</difficult>
    <truncated>1</truncated><name>red cell </name></object>
</annotation>"""


def read(text: str | bytes, folder: Path) -> tuple[list[Annotation], list[tuple[str, int | None]]]:
    path = folder / "a.xml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    quarantine = Quarantine()
    annotations = read_annotations([SourceFile("a.xml", Kind.ANNOTATION, path)], PreparationPlan(), quarantine)
    return annotations, [(entry.code, entry.box) for entry in quarantine.entries]


def test_an_annotation_is_read_whatever_the_order_of_its_elements(tmp_path: Path) -> None:
    (annotation,), entries = read(LABELIMG, tmp_path)
    assert annotation.picture_name == "BloodImage_00000.jpg"
    assert annotation.claimed_size == (640, 480)
    assert annotation.boxes == (
        StatedBox(0, "WBC", 260, 177, 491.5, 376),
        StatedBox(1, "red cell", 1, 2, 3, 4, difficult=True, truncated=True),
    )
    assert entries == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_the_encoding_the_file_declares_is_honoured(encoding: str, tmp_path: Path) -> None:
    text = "<annotation><filename>é.jpg</filename></annotation>"
    declared = text if encoding == "utf-8-sig" else f'<?xml version="1.0" encoding="{encoding}"?>{text}'
    (annotation,), _ = read(declared.encode(encoding), tmp_path)
    assert annotation.picture_name == "é.jpg"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<annotation><object></annotation>",
        "<annotation>" + "<a>" * 100,
        '<!DOCTYPE a [<!ENTITY b "boom">]><annotation><filename>&b;</filename></annotation>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><filename>&b;</filename></annotation>',
        '<?xml version="1.0" encoding="klingon"?><annotation/>',
        b"\xff\xfe\x00",
        "<annotation>" + " " * (9 << 20) + "</annotation>",
    ],
)
def test_xml_that_cannot_be_read_or_trusted_is_left_out(text, tmp_path: Path) -> None:
    assert read(text, tmp_path) == ([], [("bad_annotation", None)])


def test_xml_of_another_kind_is_no_annotation(tmp_path: Path) -> None:
    assert read("<project><filename>a.jpg</filename></project>", tmp_path) == ([], [("unsupported_file", None)])


@pytest.mark.parametrize(
    "box",
    [
        "<name>cat</name>",
        "<name> </name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>",
        "<name>cat</name><bndbox><xmin>one</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>",
        "<name>cat</name><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>",
        "<name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1e999</xmax><ymax>9</ymax></bndbox>",
    ],
)
def test_an_object_that_makes_no_sense_is_left_out_alone(box: str, tmp_path: Path) -> None:
    good = "<object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    (annotation,), entries = read(f"<annotation>{good}<object>{box}</object>{good}</annotation>", tmp_path)
    assert [b.index for b in annotation.boxes] == [0, 2]
    assert entries == [("bad_annotation", 1)]


@pytest.mark.parametrize("size", ["<width>0</width><height>9</height>", "<width>a</width>", "<width>1e999</width>", ""])
def test_a_size_that_makes_no_sense_is_no_claim(size: str, tmp_path: Path) -> None:
    (annotation,), entries = read(f"<annotation><size>{size}</size></annotation>", tmp_path)
    assert annotation.claimed_size is None
    assert entries == []


def test_more_boxes_than_anyone_draws_are_no_annotation(tmp_path: Path) -> None:
    one = "<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    (annotation,), entries = read(f"<annotation>{one * 10_000}</annotation>", tmp_path)
    assert len(annotation.boxes) == 10_000
    assert entries == []
    assert read(f"<annotation>{one * 10_001}</annotation>", tmp_path) == ([], [("too_many_boxes", None)])


def test_elements_nested_a_million_deep_do_no_harm(tmp_path: Path) -> None:
    deep = "<annotation>" + "<a>" * 1_000_000 + "</a>" * 1_000_000 + "</annotation>"
    annotations, entries = read(deep, tmp_path)
    assert annotations or entries


@given(st.data())
@settings(seeded, max_examples=300)
def test_damaged_xml_is_read_or_left_out_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    content = bytearray(LABELIMG.encode())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[at] ^= data.draw(st.integers(1, 255))
    annotations, entries = read(bytes(content), tmp_path_factory.getbasetemp())
    assert annotations or entries


def test_an_object_of_several_boxes_is_left_out_by_name(mini: MiniDataset) -> None:
    mini.good(10)
    twice = voc_xml([("cat", 5, 5, 40, 30), ("cat", 1, 1, 20, 20)]).replace("<bndbox>", "<bndbox/><bndbox>", 1)
    mini.pair("twice", 7)
    mini.put("annotations/xmls/twice.xml", twice)
    result = mini.run()
    assert [(e["file"], e["code"], e["box"]) for e in result.quarantine] == [
        ("annotations/xmls/twice.xml", "bad_annotation", 0)
    ]
    assert result.report["images"]["used"] == 11
