from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from prep.lists import ListedNames
from prep.matching import match
from prep.model import Annotation, Kind, SourceFile
from prep.quarantine import Quarantine


def matched(
    annotations: dict[str, str], pictures: list[str], folder: Path | None = None, listed: ListedNames | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Annotation path to picture path, and what was left out; `annotations` maps a path to its <filename>."""
    quarantine = Quarantine()
    found = [
        Annotation(SourceFile(path, Kind.ANNOTATION, Path(path)), named, None, ())
        for path, named in annotations.items()
    ]
    files = [
        SourceFile(path, Kind.PICTURE, folder / path.replace("/", "_") if folder else Path(path), "", "JPEG")
        for path in pictures
    ]
    pairs = match(found, files, listed or ListedNames(), quarantine)
    left_out = {e.file: e.code for e in quarantine.entries if e.left_out}
    return {pair.annotation.file.path: pair.picture.path for pair in pairs}, left_out


def test_the_named_picture_comes_before_the_one_called_alike() -> None:
    assert matched({"x.xml": "b.jpg"}, ["x.jpg", "b.jpg"])[0] == {"x.xml": "b.jpg"}


def test_a_name_that_is_not_there_falls_back_to_the_annotations_own() -> None:
    assert matched({"x.xml": "gone.jpg"}, ["x.jpg"]) == ({"x.xml": "x.jpg"}, {})
    assert matched({"x.xml": ""}, ["x.jpg"]) == ({"x.xml": "x.jpg"}, {})


@pytest.mark.parametrize("named", ["a.JPG", "a", "a.png", "C:\\pictures\\a.jpg", "../elsewhere/a.jpg", "A.jpg"])
def test_a_name_may_have_a_folder_another_suffix_or_case(named: str) -> None:
    assert matched({"labels/1.xml": named}, ["images/a.jpg"]) == ({"labels/1.xml": "images/a.jpg"}, {})


def test_composed_and_decomposed_accents_are_the_same_name() -> None:
    assert matched({"1.xml": "e\u0301te\u0301.jpg"}, ["\u00e9t\u00e9.jpg"])[0] == {"1.xml": "\u00e9t\u00e9.jpg"}


def test_a_picture_another_annotation_agrees_on_is_left_to_that_one() -> None:
    # b.xml was copied from a.xml and still names a.jpg.
    pairs, left_out = matched({"a.xml": "a.jpg", "b.xml": "a.jpg"}, ["a.jpg", "b.jpg"])
    assert pairs == {"a.xml": "a.jpg", "b.xml": "b.jpg"}
    assert left_out == {}


def test_a_name_that_every_annotation_states_says_nothing() -> None:
    pairs, _ = matched({"1.xml": "image.jpg", "2.xml": "image.jpg"}, ["1.jpg", "2.jpg", "image.jpg"])
    assert pairs == {"1.xml": "1.jpg", "2.xml": "2.jpg"}


def test_swapped_names_are_believed() -> None:
    pairs, _ = matched({"1.xml": "2.jpg", "2.xml": "1.jpg"}, ["1.jpg", "2.jpg"])
    assert pairs == {"1.xml": "2.jpg", "2.xml": "1.jpg"}


def test_of_two_annotations_of_one_picture_one_is_left_out() -> None:
    pairs, left_out = matched({"a.xml": "a.jpg", "copy of a.xml": "a.jpg"}, ["a.jpg"])
    assert pairs == {"a.xml": "a.jpg"}
    assert left_out == {"copy of a.xml": "duplicate_annotation"}


def test_the_nearest_folder_wins() -> None:
    pictures = ["train/images/1.jpg", "val/images/1.jpg", "images/1.jpg"]
    annotations = {"train/labels/1.xml": "1.jpg", "val/labels/1.xml": "1.jpg", "labels/1.xml": "1.jpg"}
    pairs, left_out = matched(annotations, pictures)
    assert pairs == {
        "train/labels/1.xml": "train/images/1.jpg",
        "val/labels/1.xml": "val/images/1.jpg",
        "labels/1.xml": "images/1.jpg",
    }
    assert left_out == {}


def test_pictures_beside_the_annotations_in_parallel_trees() -> None:
    pairs, _ = matched(
        {"Annotations/cat/1.xml": "1.jpg", "Annotations/dog/1.xml": "1.jpg"}, ["Images/cat/1.jpg", "Images/dog/1.jpg"]
    )
    assert pairs == {"Annotations/cat/1.xml": "Images/cat/1.jpg", "Annotations/dog/1.xml": "Images/dog/1.jpg"}


def test_a_tie_between_different_pictures_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "x_1.jpg").write_bytes(b"one")
    (tmp_path / "y_1.jpg").write_bytes(b"other")
    pairs, left_out = matched({"1.xml": "1.jpg"}, ["x/1.jpg", "y/1.jpg"], tmp_path)
    assert pairs == {}
    assert left_out == {"1.xml": "ambiguous_image", "x/1.jpg": "no_annotation", "y/1.jpg": "no_annotation"}
    (tmp_path / "y_1.jpg").write_bytes(b"one")
    pairs, left_out = matched({"1.xml": "1.jpg"}, ["x/1.jpg", "y/1.jpg"], tmp_path)
    assert pairs == {"1.xml": "x/1.jpg"}
    assert left_out == {"y/1.jpg": "no_annotation"}


def test_what_stays_single_is_named() -> None:
    listed = ListedNames({"list.txt": {"a", "c", "d"}, "test.txt": {"c"}})
    pairs, left_out = matched({"a.xml": "a.jpg", "e.xml": "e.jpg"}, ["a.jpg", "b.jpg", "c.jpg"], None, listed)
    assert pairs == {"a.xml": "a.jpg"}
    assert left_out == {
        "e.xml": "annotation_without_image",
        "b.jpg": "no_annotation",
        "c.jpg": "listed_without_annotation",
        "d": "listed_without_annotation",
    }


def test_only_the_test_list_withholds_boxes_on_purpose() -> None:
    listed = ListedNames({"list.txt": {"a", "b", "c"}, "test.txt": {"a", "b"}, "trainval.txt": {"b", "c"}})
    assert [listed.withheld(name) for name in "abcd"] == [True, False, False, False]


names = st.sampled_from(["a", "b", "c", "A", "x/a", "x/b", "y/a"])


@given(
    st.dictionaries(names.map("{}.xml".format), st.sampled_from(["", "a.jpg", "b", "c.png", "zzz"]), max_size=6),
    st.sets(names.map("{}.jpg".format), max_size=6),
)
@seeded
def test_every_file_is_used_once_or_named(annotations: dict[str, str], pictures: set[str]) -> None:
    # Reading the content of tied candidates fails here, as nothing is on disk: such ties are another test's.
    try:
        pairs, left_out = matched(annotations, sorted(pictures))
    except FileNotFoundError:
        return
    assert len(set(pairs.values())) == len(pairs)
    assert set(pairs) | set(left_out) >= set(annotations)
    assert not set(pairs) & set(left_out)
    assert set(pairs.values()) | set(left_out) >= pictures
    assert not set(pairs.values()) & set(left_out)
