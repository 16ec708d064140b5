import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.prep.minis import SAMPLE, MiniDataset, as_coco, coco_document, seeded
from unit.prep.test_recognition import read

from prep.model import Annotation, StatedBox
from prep.readers import fields
from prep.readers.documents import ijson
from prep.readers.fields import part_of


def small(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 20}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 5, "name": "cat"}],
    }
    return {**document, **changes}


def read_document(mini: MiniDataset, document: Any, name: str = "instances.json") -> tuple[list[Annotation], list[Any]]:
    mini.put(name, document if isinstance(document, str | bytes) else json.dumps(document))
    annotations, entries = read(mini)
    return annotations, [(e.code, e.box, e.item) for e in entries]


def test_the_parser_is_the_fast_one() -> None:
    assert ijson.backend == "yajl2_c"


def test_a_document_is_read_whatever_the_order_of_its_lists(mini, another) -> None:
    document = coco_document(SAMPLE, "images/")
    (first, second, _, nothing), entries = read_document(mini, document)
    assert first.picture_name == "images/first.jpg"
    assert first.claimed_size == (64, 48)
    assert first.boxes == (StatedBox(0, "cat", 5, 5, 40, 30), StatedBox(1, "dog", 0, 1, 64, 48))
    assert second.boxes[0].index == 2
    assert (first.item, nothing.item) == ("image 700", "image 697")
    assert nothing.boxes == ()
    assert entries == []
    backwards = dict(reversed(document.items()))
    read_again, entries = read_document(another, json.dumps(backwards, indent=1))
    assert entries == []
    assert [(a.picture_name, a.boxes) for a in read_again] == [
        (a.picture_name, a.boxes) for a in (first, second, _, nothing)
    ]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("instances_train2017.json", "train"),
        ("instances_val2017.json", "validation"),
        ("image_info_test-dev2017.json", "test"),
        ("valid.json", "validation"),
        ("my-validation-set.json", "validation"),
        ("instances_trainval.json", ""),
        ("train_and_val.json", ""),
        ("_annotations.coco.json", ""),
        ("strained.json", ""),
        ("contest.json", ""),
    ],
)
def test_the_part_is_what_the_file_name_says(name: str, part: str, mini) -> None:
    assert part_of(name) == part
    (annotation,), _ = read_document(mini, small(), name)
    assert annotation.part == part


def test_a_picture_may_be_named_by_its_url_alone(mini) -> None:
    url = "http://images.cocodataset.org/train2017/a.jpg"
    document = small(images=[{"id": 1, "coco_url": url, "width": 10, "height": 20}])
    (annotation,), entries = read_document(mini, document)
    assert (annotation.picture_name, len(annotation.boxes), entries) == (url, 1, [])


def test_several_files_are_read_each_with_its_own_ids(mini) -> None:
    as_coco(mini, SAMPLE[:2], "annotations/instances_train2017.json")
    as_coco(mini, SAMPLE[2:], "annotations/instances_val2017.json")
    annotations, entries = read(mini)
    assert [(a.part, len(a.boxes)) for a in annotations] == [
        ("train", 2), ("train", 1), ("validation", 1), ("validation", 0)
    ]  # fmt: skip
    assert entries == []


def test_roboflows_supercategory_entry_and_equal_names_are_harmless(mini) -> None:
    categories = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 5, "name": "cat", "supercategory": "pets"},
        {"id": "six", "name": "cat"},
    ]
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]},
        {"id": 2, "image_id": 1, "category_id": "six", "bbox": [1.5, 2, 3, 4], "iscrowd": 1},
    ]
    (annotation,), entries = read_document(mini, small(categories=categories, annotations=boxes))
    assert annotation.boxes == (StatedBox(0, "cat", 1, 2, 4, 6), StatedBox(1, "cat", 1.5, 2, 4.5, 6, crowd=True))
    assert entries == []


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, 3, 4, 5]},
        {"bbox": [1, 2, 3, "4"]},
        {"bbox": [1, 2, 3, True]},
        {"bbox": [1, 2, 3, None]},
        {"bbox": [1, 2, 3, [4]]},
        {"bbox": [1, 2, 3, {"a": 4}]},
        {"bbox": [1, 2, 3, float("nan")]},
        {"bbox": [1, 2, float("-inf"), 4]},
        {"bbox": [1, 10**30, 3, 4]},
        {"bbox": [1, 10**4999, 3, 4]},
        {"bbox": [1e308, 2, 1e308, 4]},
        {"bbox": {"x": 1}},
        {"bbox": "1 2 3 4"},
        {"bbox": None},
        {"bbox": []},
        {"category_id": 6},
        {"category_id": None},
        {"category_id": "5"},
        {"category_id": [5]},
        {"image_id": 2},
        {"image_id": "1"},
        {"image_id": None},
        {"image_id": {"id": 1}},
        {"image_id": True},
    ],
)
def test_a_box_that_makes_no_sense_is_left_out_alone(change: dict[str, Any], mini, monkeypatch) -> None:
    monkeypatch.setattr("sys.set_int_max_str_digits", None)
    good = small()["annotations"][0]
    bad = {**good, "id": 2, **change}
    digits = str(10**999) + "0" * 4000
    content = json.dumps(small(annotations=[good, {**bad, "bbox": "HUGE"} if _huge(bad) else bad, {**good, "id": 3}]))
    (annotation,), entries = read_document(mini, content.replace('"HUGE"', f"[1, {digits}, 3, 4]"))
    assert [box.index for box in annotation.boxes] == [0, 2]
    assert [(code, box) for code, box, _ in entries] == [("bad_annotation", 1)]


def _huge(entry: dict[str, Any]) -> bool:
    return isinstance(entry["bbox"], list) and any(isinstance(v, int) and v > 10**100 for v in entry["bbox"])


@pytest.mark.parametrize("entry", [5, None, "text", [1, [2]], {}])
@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
def test_an_entry_that_is_none_is_left_out_alone(section: str, entry: Any, mini) -> None:
    document = small()
    document[section] = [entry, *document[section], entry]
    (annotation,), entries = read_document(mini, document)
    assert [box.name for box in annotation.boxes] == ["cat"]
    assert [code for code, *_ in entries] == ["bad_annotation"] * 2


def test_the_numbers_python_writes_for_nothing_cost_no_more_than_their_box(mini) -> None:
    boxes = [{"id": i, "image_id": 1, "category_id": 5, "bbox": [i, 2, 3, 4], "area": float("nan")} for i in range(9)]
    boxes[4]["bbox"] = [float("nan")] * 4
    document = small(annotations=boxes, images=[{"id": 1, "file_name": "a [NaN], b.jpg"}])
    (annotation,), entries = read_document(mini, document)
    assert [box.xmin for box in annotation.boxes] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert annotation.picture_name == "a [NaN], b.jpg"
    assert entries == [("bad_annotation", 4, "image 1")]


def test_a_number_is_mended_wherever_the_reading_cuts(mini, monkeypatch) -> None:
    boxes = [{"id": i, "image_id": 1, "category_id": 5, "bbox": [float("nan"), 2, 3, 4]} for i in range(30)]
    for chunk in (7, 16, 61, 64):
        monkeypatch.setattr("prep.readers.documents._CHUNK", chunk)
        (annotation,), entries = read_document(mini, small(annotations=boxes, info=float("-inf")))
        assert annotation.boxes == ()
        assert entries == [("bad_annotation", i, "image 1") for i in range(30)]


def test_two_images_of_one_id_lose_their_boxes_for_nobody_knows_whose_they_are(mini) -> None:
    images = [*small()["images"], {"id": 2, "file_name": "b.jpg"}, {"id": 1, "file_name": "c.jpg"}]
    (annotation,), entries = read_document(mini, small(images=images))
    assert (annotation.picture_name, annotation.boxes) == ("b.jpg", ())
    assert entries == [("bad_annotation", None, "image 1")]


def test_an_image_listed_twice_alike_is_used_once(mini) -> None:
    (annotation,), entries = read_document(mini, small(images=small()["images"] * 2))
    assert len(annotation.boxes) == 1
    assert entries == [("bad_annotation", None, "image 1")]


def test_a_repeated_annotation_is_left_out_and_a_mere_id_used_twice_is_not(mini) -> None:
    box = small()["annotations"][0]
    (annotation,), entries = read_document(mini, small(annotations=[box, box, {**box, "bbox": [2, 2, 3, 4]}]))
    assert [b.index for b in annotation.boxes] == [0, 2]
    assert entries == [("bad_annotation", 1, "image 1")]


def test_a_category_id_with_two_names_names_nothing(mini) -> None:
    categories = [{"id": 5, "name": "cat"}, {"id": 5, "name": "dog"}]
    (annotation,), entries = read_document(mini, small(categories=categories))
    assert annotation.boxes == ()
    assert entries == [("bad_annotation", 0, "image 1")]


@pytest.mark.parametrize("name", [None, "", " ", 5, "\ud800", ["a"]])
def test_an_image_without_a_name_is_left_out_with_its_boxes(name: Any, mini) -> None:
    images = [{"id": 1, "file_name": name}, {"id": 2, "file_name": "b.jpg"}]
    annotations, entries = read_document(mini, small(images=images))
    if name == "\ud800":  # the parser replaces what is no character
        assert annotations[0].picture_name == "?"
    else:
        assert [a.picture_name for a in annotations] == ["b.jpg"]
        assert entries == [("bad_annotation", None, "image 1")]


@pytest.mark.parametrize(
    "size", [{}, {"width": 0, "height": 5}, {"width": "9", "height": 9}, {"width": -1, "height": 9}]
)
def test_a_size_that_makes_no_sense_is_no_claim(size: dict[str, Any], mini) -> None:
    (annotation,), entries = read_document(mini, small(images=[{"id": 1, "file_name": "a.jpg", **size}]))
    assert annotation.claimed_size is None
    assert entries == []


@pytest.mark.parametrize(
    "document",
    [
        {"images": small()["images"], "annotations": [{"id": 1, "image_id": 1, "caption": "a cat"}]},
        {"images": small()["images"], "annotations": [{"image_id": 1, "segments_info": [{"bbox": [1, 2, 3, 4]}]}]},
        {"images": small()["images"], "annotations": [{"image_id": 1, "category_id": 5, "keypoints": [1, 2, 2]}]},
        {"images": small()["images"], "categories": small()["categories"]},
        {"images": {"1": "a.jpg"}, "annotations": small()["annotations"]},
        {"annotations": small()["annotations"]},
    ],
)
def test_captions_segments_key_points_and_mere_lists_are_no_boxes(document: dict[str, Any], mini) -> None:
    assert read_document(mini, document) == ([], [("unknown_layout", None, "")])


def test_a_file_of_no_images_is_named(mini) -> None:
    assert read_document(mini, small(images=[], annotations=[])) == ([], [("bad_annotation", None, "")])


@pytest.mark.parametrize("tail", ["}", "{}", "x", '{"images": []}'])
def test_a_document_with_something_behind_it_is_left_out(tail: str, mini) -> None:
    assert read_document(mini, json.dumps(small()) + tail) == ([], [("bad_annotation", None, "")])


def test_a_byte_order_mark_is_passed_over(mini) -> None:
    (annotation,), entries = read_document(mini, b"\xef\xbb\xbf" + json.dumps(small()).encode())
    assert annotation.boxes
    assert entries == []


def test_more_boxes_than_anyone_draws_cost_their_picture_only(mini, monkeypatch) -> None:
    monkeypatch.setattr("prep.readers.coco.MAX_BOXES", 10)
    one = small()["annotations"][0]
    boxes = [{**one, "id": i} for i in range(11)] + [{**one, "id": 100 + i, "image_id": 2} for i in range(10)]
    images = [*small()["images"], {"id": 2, "file_name": "b.jpg"}]
    (annotation,), entries = read_document(mini, small(annotations=boxes, images=images))
    assert (annotation.picture_name, len(annotation.boxes)) == ("b.jpg", 10)
    assert entries == [("too_many_boxes", None, "image 1")]


def test_faults_without_number_are_counted_not_listed(mini) -> None:
    count = fields.MAX_NAMED_FAULTS + 77
    mini.put("a.json", json.dumps(small(annotations=[*small()["annotations"], *[{}] * count])))
    (annotation,), entries = read(mini)
    assert len(annotation.boxes) == 1
    assert len(entries) == fields.MAX_NAMED_FAULTS + 1
    assert "another 77 of its entries" in entries[-1].reason


def test_one_endless_text_is_not_held_in_memory(mini, monkeypatch) -> None:
    monkeypatch.setattr("prep.readers.documents._CHUNK", 1000)
    for text in ("a" * 100_000, '\\"' * 50_000):
        content = json.dumps(small())[:-1] + f', "info": "{text}"}}'
        assert read_document(mini, content) == ([], [("bad_annotation", None, "")])


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).map(str.strip).filter(bool)
edges = st.floats(-1e6, 1e6) | st.integers(-5000, 5000)


@given(data=st.data())
@settings(seeded, max_examples=150)
def test_boxes_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(-(2**40), 2**40) | names, min_size=1, max_size=5, unique=True))
    categories = data.draw(st.dictionaries(st.integers(-9, 10**6) | names, names, min_size=1, max_size=4))
    boxes = data.draw(
        st.lists(
            st.tuples(st.sampled_from(ids), st.sampled_from(list(categories)), *[edges] * 4, st.booleans()), max_size=12
        )
    )
    document = {
        "images": [{"id": i, "file_name": f"{n}.jpg"} for n, i in enumerate(ids)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": box, "iscrowd": int(crowd), "segmentation": [[1, [2]]]}
            for n, (i, c, *box, crowd) in enumerate(boxes)
        ],
        "categories": [{"id": i, "name": name} for i, name in categories.items()],
    }
    items = list(document.items())
    random.Random(data.draw(st.integers(0, 9))).shuffle(items)
    mini = MiniDataset(tmp_path_factory.mktemp("coco"))
    annotations, entries = read_document(mini, json.dumps(dict(items), ensure_ascii=data.draw(st.booleans())))
    assert entries == []
    assert [a.picture_name for a in annotations] == [f"{n}.jpg" for n in range(len(ids))]
    for image_id, annotation in zip(ids, annotations, strict=True):
        assert annotation.boxes == tuple(
            StatedBox(n, categories[c], x, y, x + w, y + h, crowd=crowd)
            for n, (i, c, x, y, w, h, crowd) in enumerate(boxes)
            if i == image_id
        )
