import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.prep.minis import SAMPLE, MiniDataset, class_order, manifest_line, seeded
from unit.prep.test_recognition import read

from prep.model import Annotation, StatedBox

CLASSES = class_order(SAMPLE)


def line(stem: str = "first", **changes: Any) -> dict[str, Any]:
    picture = next(p for p in SAMPLE if p.stem == stem)
    return {**manifest_line(picture, CLASSES, f"s3://bucket/{stem}.jpg", "boxes"), **changes}


def read_lines(mini: MiniDataset, *lines: Any, name: str = "output.manifest") -> tuple[list[Annotation], list[Any]]:
    mini.put(name, "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in lines))
    annotations, entries = read(mini)
    return annotations, [(e.code, e.box, e.item) for e in entries]


@pytest.mark.parametrize("name", ["output.manifest", "train.jsonl", "train.json"])
def test_a_manifest_is_known_by_its_lines_whatever_it_is_called(name: str, mini) -> None:
    (first, second), entries = read_lines(mini, line(), "", line("nothing"), name=name)
    assert first.picture_name == "s3://bucket/first.jpg"
    assert first.claimed_size == (64, 48)
    assert first.boxes == (StatedBox(0, "cat", 5, 5, 40, 30), StatedBox(1, "dog", 0, 1, 64, 48))
    assert (first.item, second.item) == ("line 1", "line 3")
    assert second.boxes == ()
    assert entries == []


@pytest.mark.parametrize(
    ("name", "part"), [("train.manifest", "train"), ("validation.jsonl", "validation"), ("output.manifest", "")]
)
def test_a_manifests_name_tells_the_part(name: str, part: str, mini) -> None:
    (annotation,), _ = read_lines(mini, line(), name=name)
    assert annotation.part == part


def test_the_published_example_is_read(mini) -> None:
    example = {
        "source-ref": "s3://b/k.jpg",
        "bounding-box": {
            "image_size": [{"width": 500, "height": 400, "depth": 3}],
            "annotations": [{"class_id": 0, "left": 111, "top": 134, "width": 61, "height": 128}],
        },
        "bounding-box-metadata": {"class-map": {"0": "dog"}, "type": "groundtruth/object-detection"},
    }
    (annotation,), entries = read_lines(mini, example)
    assert annotation.boxes == (StatedBox(0, "dog", 111, 134, 172, 262),)
    assert entries == []


def test_every_line_goes_by_its_own_class_map(mini) -> None:
    other = line()
    other["boxes-metadata"] = {**other["boxes-metadata"], "class-map": {"0": "zebra", "1": "yak"}}
    annotations, entries = read_lines(mini, line(), other)
    assert [[b.name for b in a.boxes] for a in annotations] == [["cat", "dog"], ["zebra", "yak"]]
    assert entries == []


def test_a_line_without_class_map_goes_by_what_the_others_agree_on(mini) -> None:
    bare = line()
    del bare["boxes-metadata"]["class-map"]
    annotations, entries = read_lines(mini, line(), bare)
    assert [[b.name for b in a.boxes] for a in annotations] == [["cat", "dog"]] * 2
    assert entries == []


def test_where_no_line_has_a_class_map_the_ids_are_names_with_a_remark(mini) -> None:
    bare = {"source-ref": "s3://b/a.jpg", "boxes": line()["boxes"]}
    (annotation,), entries = read_lines(mini, bare)
    assert [box.name for box in annotation.boxes] == ["0", "1"]
    assert entries == [("class_id_mismatch", None, "")]


def test_an_id_that_its_class_map_lacks_loses_its_box(mini) -> None:
    lacking = line()
    lacking["boxes-metadata"]["class-map"] = {"0": "cat", "x": "y", "2": None}
    (annotation,), entries = read_lines(mini, lacking)
    assert [box.index for box in annotation.boxes] == [0]
    assert sorted(entries, key=str) == [("bad_annotation", 1, "line 1"), ("class_id_mismatch", None, "")]


def test_a_picture_reviewed_twice_gives_two_annotations(mini) -> None:
    annotations, entries = read_lines(mini, line(), line())
    assert [a.item for a in annotations] == ["line 1", "line 2"]
    assert entries == []


def reviewed(**dates: str) -> dict[str, Any]:
    """A line with several attributes of boxes, created at the dates given."""
    result: dict[str, Any] = {"source-ref": "s3://b/a.jpg"}
    for number, (label, date) in enumerate(dates.items()):
        result[label] = {"annotations": [{"class_id": 0, "left": number, "top": 0, "width": 9, "height": 9}]}
        about = {"type": "groundtruth/object-detection", "class-map": {"0": "cat"}, "creation-date": date}
        result[f"{label}-metadata"] = about
    return result


def test_of_several_labels_the_adjusted_one_counts_else_the_latest(mini) -> None:
    latest = reviewed(a="2026-01-01", b="2026-03-01", c="2026-02-01")
    adjusted = reviewed(a="2026-01-01", b="2026-03-01", c="2026-02-01")
    adjusted["c-metadata"]["adjustment-status"] = "adjusted"
    verified = {
        **reviewed(a="2026-01-01"),
        "check": 1,
        "check-metadata": {"type": "groundtruth/label-verification", "class-name": "good"},
    }
    equal = reviewed(a="2026-01-01", b="2026-01-01")
    annotations, entries = read_lines(mini, latest, adjusted, verified, equal)
    assert [a.boxes[0].xmin for a in annotations] == [1, 2, 0]
    assert entries == [("bad_annotation", None, "line 4")]


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in line().items() if k != key}


FAILED = {**line()["boxes-metadata"], "failure-reason": "ClientError: the picture cannot be shown"}


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "5",
        '["source-ref"]',
        '"source-ref"',
        "[" * 100_000,
        "9" * 5000,
        {"source": "inline data", "boxes": line()["boxes"]},
        without("source-ref"),
        line(**{"source-ref": None}),
        line(**{"source-ref": 5}),
        line(**{"source-ref": ""}),
        line(**{"source-ref": "s3://b/\ud800.jpg"}),
        without("boxes"),
        line(boxes=None),
        line(boxes=5),
        line(boxes={"annotations": None}),
        line(boxes={"annotations": {}}),
        line(**{"boxes-metadata": FAILED}),
        {**without("boxes"), "boxes-metadata": FAILED},
        {"source-ref": "s3://b/a.jpg"},
        {"source-ref": "s3://b/a.jpg", "label": 3, "label-metadata": {"type": "groundtruth/image-classification"}},
        {"source-ref": "s3://b/a.jpg", "one": line()["boxes"], "two": line()["boxes"]},
    ],
)
def test_a_line_that_cannot_be_used_is_left_out_by_its_number(bad: Any, mini) -> None:
    annotations, entries = read_lines(mini, line(), bad, line())
    assert [a.item for a in annotations] == ["line 1", "line 3"]
    assert entries == [("bad_annotation", None, "line 2")]


def test_why_ground_truth_failed_is_passed_on(mini) -> None:
    mini.put("a.manifest", json.dumps(line(**{"boxes-metadata": FAILED})))
    assert "the picture cannot be shown" in read(mini)[1][0].reason


def test_inline_data_are_refused_by_name(mini) -> None:
    mini.put("a.manifest", '{"source": "some text"}\n')
    assert "source-ref" in read(mini)[1][0].reason


def test_a_broken_first_line_does_not_hide_the_others(mini) -> None:
    (annotation,), entries = read_lines(mini, '{"source-ref": "s3://b/x', line())
    assert annotation.item == "line 2"
    assert entries == [("bad_annotation", None, "line 1")]


def test_a_manifest_of_pictures_without_labels_is_no_annotation(mini) -> None:
    assert read_lines(mini, *[{"source-ref": f"s3://b/{i}.jpg"} for i in range(9)]) == (
        [],
        [("unknown_layout", None, "")],
    )


def test_a_line_too_long_is_left_out_and_the_next_read(mini, monkeypatch) -> None:
    monkeypatch.setattr("prep.readers.documents.MAX_LINE_BYTES", 2000)
    monkeypatch.setattr("prep.readers.manifest.MAX_LINE_BYTES", 2000)
    monkeypatch.setattr("prep.readers.documents._CHUNK", 100)
    annotations, entries = read_lines(mini, line(), line(more="x" * 5000), line())
    assert [a.item for a in annotations] == ["line 1", "line 3"]
    assert entries == [("bad_annotation", None, "line 2")]


def test_more_boxes_than_anyone_draws_are_no_annotation(mini) -> None:
    many = {"annotations": line()["boxes"]["annotations"] * 5001}
    annotations, entries = read_lines(mini, line(boxes=many), line())
    assert [a.item for a in annotations] == ["line 2"]
    assert entries == [("too_many_boxes", None, "line 1")]


def test_windows_line_ends_and_a_byte_order_mark_are_passed_over(mini) -> None:
    mini.put("a.manifest", b"\xef\xbb\xbf" + f"{json.dumps(line())}\r\n{json.dumps(line('second'))}".encode())
    annotations, entries = read(mini)
    assert [a.item for a in annotations] == ["line 1", "line 2"]
    assert entries == []


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).map(str.strip).filter(bool)
edges = st.floats(-1e6, 1e6) | st.integers(-5000, 5000)


@given(data=st.data())
@settings(seeded, max_examples=150)
def test_boxes_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines, expected = [], []
    for number in range(data.draw(st.integers(1, 5))):
        class_map = data.draw(st.dictionaries(st.integers(0, 99), names, min_size=1, max_size=4))
        boxes = data.draw(st.lists(st.tuples(st.sampled_from(list(class_map)), *[edges] * 4), max_size=4))
        label = data.draw(names.filter(lambda name: not name.endswith("-metadata") and name != "source-ref"))
        entries = [dict(zip(("class_id", "left", "top", "width", "height"), box, strict=True)) for box in boxes]
        about = {"type": "groundtruth/object-detection", "class-map": {str(k): v for k, v in class_map.items()}}
        picture = f"s3://b/{number} é+%.jpg"
        row = {label: {"annotations": entries}, "source-ref": picture, f"{label}-metadata": about}
        lines.append(json.dumps(row, ensure_ascii=data.draw(st.booleans())))
        stated = tuple(StatedBox(i, class_map[c], x, y, x + w, y + h) for i, (c, x, y, w, h) in enumerate(boxes))
        expected.append((picture, stated))
    mini = MiniDataset(tmp_path_factory.mktemp("manifest"))
    annotations, entries = read_lines(mini, *lines)
    assert entries == []
    assert [(a.picture_name, a.boxes) for a in annotations] == expected
