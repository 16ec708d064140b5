"""Layouts are told from content, the same boxes come out of each, and every file is accounted for."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.prep.minis import (
    LAYOUT_WRITERS,
    SAMPLE,
    Labelled,
    MiniDataset,
    as_coco,
    as_manifest,
    as_voc,
    as_yolo,
    coco_document,
    seeded,
)  # fmt: skip

from dropspot.preparation_plan import PreparationPlan
from prep.model import Annotation, Kind, SourceFile
from prep.quarantine import Entry, Quarantine
from prep.readers import fields, read_annotations
from prep.sources import collect


def read(mini: MiniDataset, layout: str = "auto") -> tuple[list[Annotation], list[Entry]]:
    quarantine = Quarantine()
    files = collect(mini.paths.dataset, mini.paths.dataset.parent / "scratch", quarantine, lambda line: None)
    return read_annotations(files, PreparationPlan(layout=layout), quarantine), quarantine.entries


def stem_of(annotation: Annotation) -> str:
    return (annotation.picture_name or annotation.file.name).rpartition("/")[2].rpartition(".")[0]


def in_pixels(annotations: list[Annotation]) -> dict[str, set[tuple[Any, ...]]]:
    """Boxes in pixels by the picture's stem."""
    sizes = {picture.stem: picture.size for picture in SAMPLE}
    found = {}
    for annotation in annotations:
        w, h = sizes[stem_of(annotation)] if annotation.layout == "yolo" else (1, 1)
        found[stem_of(annotation)] = {
            (b.name, round(b.xmin * w, 6), round(b.ymin * h, 6), round(b.xmax * w, 6), round(b.ymax * h, 6))
            for b in annotation.boxes
        }
    return found


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_the_same_boxes_come_out_of_every_layout(layout: str, mini) -> None:
    LAYOUT_WRITERS[layout](mini)
    annotations, entries = read(mini)
    assert {annotation.layout for annotation in annotations} == {layout}
    assert in_pixels(annotations) == {picture.stem: set(picture.boxes) for picture in SAMPLE}
    claimed = {stem_of(a): a.claimed_size for a in annotations}
    assert claimed == {p.stem: None if layout == "yolo" else p.size for p in SAMPLE}
    assert entries == []


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_small_files_take_no_more_memory_than_they_need(layout: str, mini) -> None:
    LAYOUT_WRITERS[layout](mini)
    tracemalloc.start()
    try:
        read(mini)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_several_layouts_are_all_read(mini) -> None:
    for write in LAYOUT_WRITERS.values():
        write(mini)
    annotations, entries = read(mini)
    assert {(a.layout, stem_of(a)) for a in annotations} == {(k, p.stem) for k in LAYOUT_WRITERS for p in SAMPLE}
    assert entries == []


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_a_plan_may_ask_for_one_layout_alone(layout: str, mini) -> None:
    for write in LAYOUT_WRITERS.values():
        write(mini)
    annotations, entries = read(mini, layout)
    assert in_pixels(annotations) == {picture.stem: set(picture.boxes) for picture in SAMPLE}
    assert {(e.code, e.deliberate) for e in entries} == {("unsupported_file", True)}
    left_out = {e.file for e in entries}
    assert not left_out & {a.file.path for a in annotations}
    assert all(f"the layout {layout} alone" in e.reason for e in entries)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.json", "", "bad_annotation"),
        ("a.json", "{", "bad_annotation"),
        ("a.json", "<html>", "bad_annotation"),
        ("a.json", "[" * 100_000, "unknown_layout"),
        ("a.json", '{"a":' * 100_000, "bad_annotation"),
        ("a.json", b"\x1f\x8b\x08\x00", "bad_annotation"),
        ("a.json", b'{"images": "\xff"}', "bad_annotation"),
        ("a.json", "[1, 2]", "unknown_layout"),
        ("a.json", "3", "unknown_layout"),
        ("a.json", "null", "unknown_layout"),
        ("a.json", "{}", "unknown_layout"),
        ("a.json", '{"version": "5.0", "shapes": [], "imagePath": "a.jpg"}', "unknown_layout"),
        ("a.json", '{"annotations": []}', "unknown_layout"),
        ("a.json", '{"\\ud800": 1}', "unknown_layout"),
        ("a.json", '{\n"source-ref": "s3://b/k.jpg",\n"x": 1}', "unknown_layout"),
        ("a.jsonl", '{"text": "a"}\n{"text": "b"}\n', "unknown_layout"),
        ("a.jsonl", "\n \n", "bad_annotation"),
        ("a.manifest", "CACHE MANIFEST\n", "bad_annotation"),
        ("a.xml", "<a/>", "unsupported_file"),
        ("README.txt", "read me", "unsupported_file"),
        ("numbers.txt", "1 2 3\n", "unsupported_file"),
        ("empty.txt", "", "unsupported_file"),
        ("binary.txt", b"\xff\xfe\0", "unsupported_file"),
        ("mkdocs.yaml", "site_name: x\n", "unknown_layout"),
        ("broken.yaml", "a: [", "bad_annotation"),
        ("classes.txt", "cat\ndog\n", "unsupported_file"),
    ],
)
def test_what_is_in_no_layout_is_left_out_by_name(name: str, content: str | bytes, code: str, mini) -> None:
    mini.put(name, content)
    annotations, entries = read(mini)
    assert annotations == []
    assert [(e.file, e.code) for e in entries] == [(name, code)]
    assert entries[0].reason
    assert "\n" not in entries[0].reason


def test_a_broken_document_counts_as_a_loss_where_the_plan_asks_for_json(mini) -> None:
    mini.put("a.json", "{")
    assert [(e.code, e.deliberate) for e in read(mini, "coco")[1]] == [("bad_annotation", False)]
    assert [(e.code, e.deliberate) for e in read(mini, "voc")[1]] == [("unsupported_file", True)]


def test_a_list_and_a_plan_are_not_annotations(mini) -> None:
    as_voc(mini)
    mini.put("training.json", "{}")
    mini.put("train.txt", "first\n")
    mini.put("ImageSets/Main/test.txt", "second\n")
    annotations, entries = read(mini)
    assert len(annotations) == len(SAMPLE)
    assert entries == []


def test_files_of_equal_paths_are_read_all_the_same(mini) -> None:
    as_yolo(mini)
    document = json.dumps(coco_document(SAMPLE)).encode()
    for name in ("a.zip", "b.zip"):
        mini.zip(name, {"coco.json": document, "a.xml": b"<annotation/>"})
    mini.zip("c.zip", {"coco.json": document})
    annotations, entries = read(mini)
    assert [a.layout for a in annotations].count("coco") == 3 * len(SAMPLE)
    assert [a.layout for a in annotations].count("voc") == 2
    assert entries == []


def mutated(data: st.DataObject, content: bytes) -> bytes:
    """`content` with bits flipped, a piece cut out or repeated."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        length = data.draw(st.integers(1, 40))
        how = data.draw(st.sampled_from(("flip", "cut", "repeat", "number")))
        if how == "flip" and damaged:
            damaged[start] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del damaged[start : start + length]
        elif how == "repeat":
            damaged[start:start] = damaged[start : start + length]
        else:
            values = (b"NaN", b"-1", b"1e999", b"true", b"null", b'"5"', b"{}", b"[]", b"9" * 30, b"9" * 5000)
            damaged[start:start] = data.draw(st.sampled_from(values))
    return bytes(damaged)


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
@given(data=st.data())
@settings(seeded, max_examples=150)
def test_damaged_files_never_raise_and_are_all_accounted_for(
    layout: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    mini = MiniDataset(tmp_path_factory.mktemp("fuzz"))
    LAYOUT_WRITERS[layout](mini)
    text = [p for p in sorted(mini.paths.dataset.rglob("*")) if p.suffix not in ("", ".jpg")]
    victim = data.draw(st.sampled_from(text))
    victim.write_bytes(mutated(data, victim.read_bytes()))
    annotations, entries = read(mini)
    named = {a.file.path for a in annotations} | {e.file for e in entries}
    candidates = {p.relative_to(mini.paths.dataset).as_posix() for p in text} - {"data.yaml"}
    assert candidates <= named
    for entry in entries:
        json.dumps(entry.document, ensure_ascii=False).encode()
    for annotation in annotations:
        for box in annotation.boxes:
            assert all(isinstance(edge, float) and abs(edge) < float("inf") for edge in (box.xmin, box.ymax))
            assert box.name.encode()


def test_every_file_given_is_read_or_named(tmp_path: Path) -> None:
    """Kinds as another caller may set them, contents at random."""
    contents = [b"", b"0 1 1 1 1", b"{}", b"a: b", b"<annotation/>", b'{"source-ref": 1}', b'{"images": []}']
    files = []
    for kind in (Kind.ANNOTATION, Kind.NAMES):
        for suffix in ("xml", "json", "txt", "names"):
            for number, content in enumerate(contents):
                if kind is Kind.ANNOTATION and suffix == "names":
                    continue
                if kind is Kind.NAMES and suffix in ("xml", "json"):
                    continue
                stored = tmp_path / f"{kind.value}{number}.{suffix}"
                stored.write_bytes(content)
                files.append(SourceFile(stored.name, kind, stored))
    quarantine = Quarantine()
    annotations = read_annotations(files, PreparationPlan(), quarantine)
    named = {a.file.path for a in annotations} | {e.file for e in quarantine.entries}
    followed = {f.path for f in files if f.kind is Kind.NAMES} - named
    assert {f.path for f in files} - named == followed
    assert len(followed) == 1  # the labels' names


def test_coco_beside_voc_of_the_same_pictures_is_left_to_matching(mini) -> None:
    as_voc(mini)
    as_coco(mini)
    assert len(read(mini)[0]) == 2 * len(SAMPLE)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("MAX_ENTRIES", "with it more than 3 pictures are described"),
        ("MAX_OBJECTS", "it has more than 3 objects"),
    ],
)
@pytest.mark.parametrize(("write", "suffix"), [(as_coco, "json"), (as_manifest, "manifest")])
def test_a_file_of_more_than_anyone_annotates_is_not_read_to_its_end(
    write: Any, suffix: str, limit: str, reason: str, mini: MiniDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, limit, 3)
    many = [Labelled(f"p{n}", (("cat", 1, 1, 9, 9),), seed=n) for n in range(6)]
    write(mini, many[:3], f"a.{suffix}")
    write(mini, many[1:], f"b.{suffix}")
    annotations, entries = read(mini)
    assert {annotation.file.path for annotation in annotations} == {f"a.{suffix}"}
    assert [(e.file, e.code, e.reason) for e in entries] == [(f"b.{suffix}", "file_too_large", reason)]
