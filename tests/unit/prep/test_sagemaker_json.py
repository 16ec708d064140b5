import json
from typing import Any

import pytest
from unit.prep.minis import SAMPLE, as_sagemaker_json
from unit.prep.test_recognition import read

from prep.model import StatedBox

ONE = {
    "file": "a.jpg",
    "image_size": [{"width": 500, "height": 400, "depth": 3}],
    "annotations": [{"class_id": 0, "left": 111, "top": 134, "width": 61, "height": 128}],
    "categories": [{"class_id": 0, "name": "dog"}],
}


def read_documents(mini: Any, *documents: Any) -> tuple[list[Any], list[Any]]:
    for number, document in enumerate(documents):
        mini.put(f"{number}.json", document if isinstance(document, str | bytes) else json.dumps(document))
    annotations, entries = read(mini)
    return annotations, [(e.file, e.code, e.box) for e in entries]


def test_the_published_example_is_read(mini) -> None:
    (annotation,), entries = read_documents(mini, ONE)
    assert (annotation.picture_name, annotation.claimed_size) == ("a.jpg", (500, 400))
    assert annotation.boxes == (StatedBox(0, "dog", 111, 134, 172, 262),)
    assert entries == []


def test_the_order_of_fields_and_a_missing_file_name_do_not_matter(mini) -> None:
    shuffled = {key: ONE[key] for key in ("annotations", "image_size")}
    annotations, entries = read_documents(mini, {**ONE, "annotations": []}, {**shuffled}, dict(reversed(ONE.items())))
    assert [(a.picture_name, [b.name for b in a.boxes]) for a in annotations] == [
        ("a.jpg", []), ("", ["dog"]), ("a.jpg", ["dog"])
    ]  # fmt: skip
    assert entries == []


def test_names_come_from_any_file_that_has_categories(mini) -> None:
    as_sagemaker_json(mini, SAMPLE[1:], categories=False)
    as_sagemaker_json(mini, SAMPLE[:1])
    annotations, entries = read(mini)
    # In the first file dog is 1, in the two others it is 0, where the first file says cat: ids mean what they say.
    assert {a.file.stem: [b.name for b in a.boxes] for a in annotations} == {
        "first": ["cat", "dog"], "second": ["cat"], "bird's eye é": ["dog"], "nothing": []
    }  # fmt: skip
    assert entries == []


def test_an_id_that_no_file_names_is_its_own_name_with_a_remark(mini) -> None:
    bare = {key: ONE[key] for key in ("file", "annotations")}
    (annotation,), entries = read_documents(mini, bare)
    assert [box.name for box in annotation.boxes] == ["0"]
    assert entries == [("0.json", "class_id_mismatch", None)]


def test_an_id_that_its_own_categories_lack_loses_its_box(mini) -> None:
    (annotation,), entries = read_documents(mini, {**ONE, "categories": [{"class_id": 1, "name": "cat"}]})
    assert annotation.boxes == ()
    assert sorted(entries, key=str) == [("0.json", "bad_annotation", 0), ("0.json", "class_id_mismatch", None)]


def test_an_id_that_others_name_differently_loses_its_box(mini) -> None:
    bare = {key: ONE[key] for key in ("file", "annotations")}
    other = {**ONE, "categories": [{"class_id": 0, "name": "cat"}]}
    annotations, entries = read_documents(mini, ONE, other, bare)
    assert [[b.name for b in a.boxes] for a in annotations] == [["dog"], ["cat"], []]
    assert sorted(entries, key=str) == [("2.json", "bad_annotation", 0), ("2.json", "class_id_mismatch", None)]


@pytest.mark.parametrize(
    "change",
    [
        {"left": "111"},
        {"left": None},
        {"top": True},
        {"width": float("nan")},
        {"height": float("inf")},
        {"height": 10**400},
        {"left": 1e308, "width": 1e308},
        {"class_id": "0"},
        {"class_id": -1},
        {"class_id": 0.5},
        {"class_id": True},
        {"class_id": None},
        {"class_id": float("nan")},
        {"class_id": 10**400},
    ],
)
def test_an_object_that_makes_no_sense_is_left_out_alone(change: dict[str, Any], mini) -> None:
    good = ONE["annotations"][0]
    (annotation,), entries = read_documents(mini, {**ONE, "annotations": [good, {**good, **change}, good]})
    assert [box.index for box in annotation.boxes] == [0, 2]
    assert entries == [("0.json", "bad_annotation", 1)]


@pytest.mark.parametrize("entry", [None, 5, [1, 2], "x", {}])
def test_an_object_that_is_none_is_left_out_alone(entry: Any, mini) -> None:
    (annotation,), entries = read_documents(mini, {**ONE, "annotations": [entry, *ONE["annotations"]]})
    assert len(annotation.boxes) == 1
    assert entries == [("0.json", "bad_annotation", 0)]


@pytest.mark.parametrize(
    "document",
    [
        {**ONE, "annotations": {"class_id": 0}},
        {**ONE, "annotations": None},
        json.dumps(ONE) + "x",
        json.dumps({**ONE, "more": "X"}).replace('"X"', "9" * 5000),
        b" " * (9 << 20) + json.dumps(ONE).encode(),
        json.dumps({**ONE, "more": "X"}).replace('"X"', "[" * 90_000 + "]" * 90_000),
    ],
)
def test_a_document_that_cannot_be_read_is_left_out(document: Any, mini) -> None:
    annotations, entries = read_documents(mini, document)
    assert annotations == []
    assert entries == [("0.json", "bad_annotation", None)]


def test_more_boxes_than_anyone_draws_are_no_annotation(mini) -> None:
    annotations, entries = read_documents(mini, {**ONE, "annotations": ONE["annotations"] * 10_001})
    assert annotations == []
    assert entries == [("0.json", "too_many_boxes", None)]


@pytest.mark.parametrize("size", [None, [], [None], [{"width": 0, "height": 1}], {"width": "1"}, [[]], 5])
def test_a_size_that_makes_no_sense_is_no_claim(size: Any, mini) -> None:
    (annotation,), entries = read_documents(mini, {**ONE, "image_size": size})
    assert annotation.claimed_size is None
    assert entries == []
