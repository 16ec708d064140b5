from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.prep.minis import SAMPLE, MiniDataset, as_yolo, picture_bytes, seeded
from unit.prep.test_recognition import read

from prep.model import StatedBox

JPEG = b"\xff\xd8\xff\xe0 not really"
BOX = "0 0.5 0.5 0.25 0.5\n"


def parts(mini: MiniDataset) -> dict[str, str]:
    annotations, entries = read(mini)
    assert [e for e in entries if e.left_out] == []
    return {a.file.path: a.part for a in annotations}


def one(mini: MiniDataset, content: str | bytes, names: str = "cat\ndog\n", **files: str) -> tuple[Any, list[Any]]:
    """The annotations of a.txt beside a.jpg, and what was said."""
    mini.put("a.jpg", JPEG)
    mini.put("a.txt", content)
    if names:
        mini.put("classes.txt", names)
    annotations, entries = read(mini)
    return annotations, [(e.file, e.code, e.box) for e in entries]


def test_corners_keep_the_unit_of_the_label(mini) -> None:
    (annotation,), entries = one(mini, "1 0.5 0.25 0.5 0.25\n\n  0 320 240 100 50  \r\n0.0 50 50 20 10\n")
    assert annotation.boxes == (
        StatedBox(0, "dog", 0.25, 0.125, 0.75, 0.375),
        StatedBox(1, "cat", 270, 215, 370, 265),
        StatedBox(2, "cat", 40, 45, 60, 55),
    )
    assert (annotation.picture_name, annotation.claimed_size, annotation.item) == ("", None, "")
    assert entries == []


def test_a_polygon_becomes_the_box_around_it(mini) -> None:
    (annotation,), entries = one(mini, "0 0.1 0.2 0.5 0.1 0.3 0.9\n1 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n")
    assert annotation.boxes == (StatedBox(0, "cat", 0.1, 0.1, 0.5, 0.9), StatedBox(1, "dog", 0.1, 0.1, 0.2, 0.3))
    assert entries == []


def test_a_sixth_number_is_a_confidence_or_a_fault(mini) -> None:
    (annotation,), entries = one(mini, "0 0.5 0.5 0.25 0.5 0.93\n0 0.5 0.5 0.25 0.5 1.57\n")
    assert [box.index for box in annotation.boxes] == [0]
    assert annotation.boxes[0].xmin == 0.375
    assert entries == [("a.txt", "bad_annotation", 1)]


def test_key_points_behind_a_box_are_passed_over(mini) -> None:
    mini.put("data.yaml", "kpt_shape: [3, 2]\nnames: {0: person}\n")
    (annotation,), entries = one(mini, "0 0.5 0.5 0.25 0.5 0.1 0.1 0.2 0.2 0.9 0.9\n", names="")
    assert annotation.boxes == (StatedBox(0, "person", 0.375, 0.25, 0.625, 0.75),)
    assert entries == []


@pytest.mark.parametrize(
    "bad",
    [
        "0 nan 0.5 0.5 0.5",
        "0 0.5 inf 0.5 0.5",
        "0 1e308 0.5 1.7e308 0.5",
        "0 0.5 0.5 0.5",
        "0.5 0.5 0.5 0.5 0.5",
        "-1 0.5 0.5 0.5 0.5",
        "nan 0.5 0.5 0.5 0.5",
        "cat 0.5 0.5 0.5 0.5",
        "0,0.5,0.5,0.5,0.5",
        "0 1 2 3 4 5 6 7",
        "7 0.5 0.5 0.5 0.5",
    ],
)
def test_a_line_that_makes_no_sense_is_left_out_alone(bad: str, mini) -> None:
    (annotation,), entries = one(mini, f"{BOX}{bad}\n{BOX}")
    assert [box.index for box in annotation.boxes] == [0, 2]
    assert [e for e in entries if e[1] != "class_id_mismatch"] == [("a.txt", "bad_annotation", 1)]


@pytest.mark.parametrize("text", ["read me", "1 2 3\n", "a.jpg 1 2 3 4\n", "\0\0", b"\xff\xfe0"])
def test_a_text_that_is_no_label_is_left_out_even_beside_a_picture(text: str | bytes, mini) -> None:
    annotations, entries = one(mini, text, names="")
    assert annotations == []
    assert entries == [("a.txt", "unsupported_file", None)]


def test_an_empty_text_beside_a_picture_says_no_object(mini) -> None:
    (annotation,), entries = one(mini, " \n")
    assert annotation.boxes == ()
    assert entries == []


def test_a_damaged_text_without_picture_is_no_label(mini) -> None:
    mini.put("notes.txt", f"{BOX}and a remark\n")
    assert [(e.file, e.code) for e in read(mini)[1]] == [("notes.txt", "unsupported_file")]


def test_more_boxes_than_anyone_draws_are_no_annotation(mini) -> None:
    assert one(mini, BOX * 10_001) == (
        [],
        [("a.txt", "too_many_boxes", None), ("classes.txt", "unsupported_file", None)],
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "names: [cat, 'no']\nnc: 2\n"),
        ("data.yml", "path: ../x # far away\nnames:\n  0: cat\n  1: no\n"),
        ("data.yaml", "names:\n- cat\n- no\n"),
        ("classes.txt", "cat\nno\n\n"),
        ("classes.txt", "\ufeffcat\r\nno"),
        ("obj.names", "cat\nno\n"),
        ("coco.names", "cat\nno\n"),
        ("_darknet.labels", " cat\nno \n"),
    ],
)
def test_names_are_taken_from_every_usual_file(name: str, content: str, mini) -> None:
    mini.put(name, content)
    (annotation,), entries = one(mini, "1 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.25 0.5\n", names="")
    assert [box.name for box in annotation.boxes] == ["no", "cat"]  # a word that YAML takes for a truth value
    assert entries == []


def test_an_id_without_a_name_loses_its_box(mini) -> None:
    (annotation,), entries = one(mini, f"{BOX}2 0.5 0.5 0.25 0.5\n")
    assert [box.name for box in annotation.boxes] == ["cat"]
    assert entries == [("a.txt", "bad_annotation", 1), ("classes.txt", "class_id_mismatch", None)]


def test_without_any_names_the_ids_are_names_with_one_remark(mini) -> None:
    mini.put("b.txt", "12 0.5 0.5 0.25 0.5\n")
    annotations, entries = one(mini, BOX, names="")
    assert [a.boxes[0].name for a in annotations] == ["0", "12"]
    assert entries == [("a.txt", "class_id_mismatch", None)]


def test_the_names_of_the_nearest_folder_hold(mini) -> None:
    for folder in ("one", "two", "three"):
        mini.put(f"{folder}/labels/a.txt", BOX)
    mini.put("classes.txt", "root")
    mini.put("one/labels/classes.txt", "one")
    mini.put("two/data.yaml", "names: [two]")
    mini.put("two/obj.names", "other")
    annotations, entries = read(mini)
    assert {a.file.path: a.boxes[0].name for a in annotations} == {
        "one/labels/a.txt": "one", "two/labels/a.txt": "two", "three/labels/a.txt": "root"
    }  # fmt: skip
    assert [(e.file, e.code, e.left_out) for e in entries] == [
        ("classes.txt", "class_id_mismatch", False),
        ("two/obj.names", "class_id_mismatch", False),
        ("two/obj.names", "unsupported_file", True),
    ]


def test_a_wrong_number_of_classes_is_remarked(mini) -> None:
    mini.put("data.yaml", "nc: 3\nnames: [cat, dog]\n")
    _, entries = one(mini, BOX, names="")
    assert entries == [("data.yaml", "class_id_mismatch", None)]


@pytest.mark.parametrize(
    "content",
    [
        "a: [",
        "- " * 5000 + "x",
        "[" * 5000,
        "{a: " * 100 + "b" + "}" * 100,
        "names: *nowhere",
        "\x01",
        "x" * ((1 << 19) + 1),
        f"names: [{'[],' * 30_000}cat]",
        "? [a]\n: b\n",
        b"\xff\xff",
    ],
)
def test_yaml_that_cannot_be_read_is_left_out_by_name(content: str | bytes, mini) -> None:
    mini.put("data.yaml", content)
    annotations, entries = one(mini, BOX, names="cat")
    assert annotations[0].boxes[0].name == "cat"
    assert entries == [("data.yaml", "bad_annotation", None)]


def test_yaml_is_read_up_to_a_limit_for_all_files_together(mini, monkeypatch) -> None:
    monkeypatch.setattr("prep.readers.yolo_names.MAX_YAML_BYTES", 40)
    for folder in "abc":
        mini.put(f"{folder}/data.yaml", "names: [cat, dog]\n")
        mini.put(f"{folder}/labels/1.txt", BOX)
        mini.put(f"{folder}/images/1.jpg", picture_bytes(1))
    mini.put("c/classes.txt", "bird\n")
    annotations, entries = read(mini)
    assert [annotation.boxes[0].name for annotation in annotations] == ["cat", "cat", "bird"]
    assert [(e.file, e.code) for e in entries] == [("c/data.yaml", "bad_annotation")]


def test_yaml_cannot_make_objects_nor_grow(mini) -> None:
    mini.put("data.yaml", "names: !!python/object/apply:os.system ['exit 1']\n")
    (annotation,), entries = one(mini, BOX, names="")
    assert annotation.boxes[0].name == "exit 1"  # a list of one name, whatever the tag says
    assert entries == []
    rounds = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 30))
    mini.put("data.yaml", f"l0: &l0 [a]\n{rounds}names: *l29\n")
    assert [(e.file, e.code) for e in read(mini)[1] if e.left_out] == [("data.yaml", "unknown_layout")]


@pytest.mark.parametrize(
    ("stated", "path"),
    [
        ("train: images/train\nval: images/val\n", "images/{}/a.jpg"),
        ("train: ./images/train/\nval: [images/val]\n", "images/{}/a.jpg"),
        ("path: ../datasets/mine\ntrain: images/train\nval: images/val\n", "images/{}/a.jpg"),
        ("path: /content/mine\ntrain: images/train\nval: images/val\n", "mine/images/{}/a.jpg"),
        ("train: ../train/images\nval: ../val/images\n", "{}/images/a.jpg"),
        ("train: /content/x/images/train\nval: /content/x/images/val\n", "images/{}/a.jpg"),
        ("train: C:\\x\\images\\train\nval: C:\\x\\images\\val\n", "images/{}/a.jpg"),
        ("train: data/mine/images/train\nval: data/mine/images/val\n", "images/{}/a.jpg"),
        ("train: train\nval: val\n", "{}/a.jpg"),
        ("train: data/train.txt\nval: data/lists/second half.txt\n", "images/{}_a.jpg"),
        ("train: train.txt\nval: lists/second half.txt\n", "pictures/{}_a.jpg"),
        ("path: .\ntrain: train.txt\nvalid: lists/second half.txt\n", "images/x/{}_a.jpg"),
    ],
)
@pytest.mark.parametrize("below", ["", "deeper/"])
def test_parts_are_where_data_yaml_says(stated: str, path: str, below: str, mini) -> None:
    mini.put(f"{below}data.yaml", f"names: [cat]\n{stated}")
    for part in ("train", "val", "more"):
        picture = path.format(part)
        mini.put(f"{below}{picture}", picture_bytes(len(part)))
        label = picture.replace("images", "labels").replace(".jpg", ".txt")
        mini.put(f"{below}{label}", BOX)
    if "txt" in stated:
        mini.put(f"{below}train.txt", "./" + path.format("train") + "\n")
        mini.put(f"{below}lists/second half.txt", "/elsewhere/" + path.format("val") + "\n")
    found = parts(mini)
    assert sorted(found.values()) == ["", "train", "validation"]
    assert all(part[:3] in path for path, part in found.items())


def test_a_folder_that_is_training_and_validation_at_once_is_neither(mini) -> None:
    as_yolo(mini, config={"train": "images", "val": "images"})
    assert set(parts(mini).values()) == {""}


def test_a_picture_on_the_lists_of_two_parts_is_on_both(mini) -> None:
    mini.put("data.yaml", "names: [cat]\ntrain: first half.txt\nval: second half.txt\n")
    for name in "abc":
        mini.put(f"images/{name}.jpg", picture_bytes(ord(name)))
        mini.put(f"labels/{name}.txt", BOX)
    mini.put("first half.txt", "./images/a.jpg\n./images/b.jpg\n")
    mini.put("second half.txt", "./images/b.jpg\n./images/c.jpg\n")
    annotations, _ = read(mini)
    assert [a.parts for a in annotations] == [{"train"}, {"train", "validation"}, {"validation"}]


def test_a_bare_name_on_two_lists_is_of_the_part_that_its_folder_says(mini) -> None:
    mini.put("data.yaml", "names: [cat]\ntrain: first half.txt\nval: second half.txt\n")
    for part in ("train", "valid"):
        mini.put(f"{part}/images/a.jpg", picture_bytes(len(part)))
        mini.put(f"{part}/labels/a.txt", BOX)
    mini.put("first half.txt", "a.jpg\n")
    mini.put("second half.txt", "a.jpg\n")
    annotations, _ = read(mini)
    assert [a.parts for a in annotations] == [{"train"}, {"validation"}]


def test_a_part_that_is_not_there_takes_no_other_folder(mini) -> None:
    mini.put("data.yaml", "names: [cat]\ntrain: ../train/images\nval: ../valid/images\ntest:\n")
    mini.put("train/images/a.jpg", JPEG)
    mini.put("train/labels/a.txt", BOX)
    assert parts(mini) == {"train/labels/a.txt": "train"}


def test_a_data_yaml_may_say_parts_and_leave_names_to_others(mini) -> None:
    as_yolo(mini, SAMPLE[:2], "train")
    mini.put("data.yaml", "train: images/train\n")
    mini.put("classes.txt", "cat\ndog\n")
    assert set(parts(mini).values()) == {"train"}


def test_pictures_called_like_lists_have_their_labels(mini) -> None:
    for stem in ("test", "train", "classes"):
        mini.put(f"images/{stem}.jpg", JPEG)
        mini.put(f"labels/{stem}.txt", BOX)
    mini.put("obj.names", "cat")
    assert len(parts(mini)) == 3


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(rows=st.lists(st.tuples(st.integers(0, 3), numbers, numbers, numbers, numbers), min_size=1, max_size=8))
@settings(seeded, max_examples=100)
def test_boxes_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    mini = MiniDataset(tmp_path_factory.mktemp("yolo"))
    text = "".join(" ".join(map(repr, row)) + "\n" for row in rows)
    (annotation,), entries = one(mini, text, "a\nb\nc\nd\n")
    assert entries == []
    assert annotation.boxes == tuple(
        StatedBox(i, "abcd"[c], x - w / 2, y - h / 2, x + w / 2, y + h / 2) for i, (c, x, y, w, h) in enumerate(rows)
    )
