from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import Split
from prep.given_parts import Division, given_division
from prep.lists import GivenLists
from prep.matching import Pair
from prep.model import Annotation, Box, Kind, LabelledPicture, SourceFile, StatedBox

BOX = (StatedBox(0, "cat", 0, 0, 5, 5),)


def divided(
    pictures: Sequence[str],
    lists: Mapping[str, Sequence[str]] | None = None,
    *,
    without_boxes: Sequence[str] = (),
    empty: Sequence[str] = (),
    unusable: Sequence[str] = (),
    stated: Mapping[str, str] | None = None,
    stated_too: Mapping[str, str] | None = None,
    same_pixels: Mapping[str, str] | None = None,
    plan: str = "auto",
) -> Division:
    """The division of pictures, all annotated but `without_boxes`; `empty` are annotated as showing nothing."""
    lists = lists or {}
    named = {name: tuple(sorted(path for path, names in lists.items() if name in names)) for name in pictures}
    listed = GivenLists(
        {path: len(names) for path, names in lists.items()},
        tuple(pictures),
        {name: paths for name, paths in named.items() if paths},
    )
    pairs, labelled = [], []
    for name in pictures:
        if name in without_boxes:
            continue
        source = SourceFile(name, Kind.PICTURE, Path(name), "", "JPEG")
        file = SourceFile(f"{name}.xml", Kind.ANNOTATION, Path(name))
        boxes = () if name in empty else BOX
        others = frozenset({stated_too[name]}) if name in (stated_too or {}) else frozenset()
        annotation = Annotation(file, name, None, boxes, part=(stated or {}).get(name, ""), other_parts=others)
        pairs.append(Pair(source, annotation))
        if boxes and name not in unusable:
            pixels = (same_pixels or {}).get(name, name)
            labelled.append(
                LabelledPicture(source, file, Path(name), name, pixels, 9, 9, (Box("cat", 0, 0, 1, 1),))
            )  # fmt: skip
    return given_division(pairs, labelled, listed, Split(lists=plan))


LISTS = {
    "Main/train.txt": ["a", "b"],
    "Main/val.txt": ["c"],
    "Main/test.txt": ["d"],
    "Main/trainval.txt": ["a", "b", "c"],
    "list.txt": ["a", "b", "c", "d"],
}


def test_lists_of_every_part_are_followed() -> None:
    division = divided("abcd", LISTS)
    assert division.how == "lists"
    assert division.parts == {"a": "train", "b": "train", "c": "validation", "d": "test"}
    assert division.document == {
        "how": "lists",
        "reason": "the data set's own lists are followed: Main/train.txt (2), val.txt (1), test.txt (1)",
    }


def test_a_plan_that_ignores_the_lists_draws() -> None:
    division = divided("abcd", LISTS, plan="ignore")
    assert division == Division("content", "drawn by content, 70/10/20, as the plan says")


def test_without_parts_the_draw_needs_no_excuse() -> None:
    assert divided("abcd") == Division("content", "drawn by content, 70/10/20")
    assert divided("abcd", {"list.txt": "abcd"}) == Division("content", "drawn by content, 70/10/20")


def test_a_part_without_boxes_makes_the_division_unfit() -> None:
    lists = {"trainval.txt": ["a", "b"], "test.txt": ["c"]}
    assert divided("abc", lists, without_boxes="c").reason == (
        "drawn by content, 70/10/20: the data set's test part (1 picture) has no boxes"
    )
    assert divided("abc", lists, empty="c").reason.endswith("test part (1 picture) has no boxes")
    assert divided("abc", lists, unusable="c").reason.endswith("test part (1 picture) has no usable boxes")


def test_half_of_a_parts_pictures_must_have_boxes() -> None:
    lists = {"train.txt": ["a"], "test.txt": ["b", "c", "d", "e"]}
    assert divided("abcde", lists, without_boxes="bc").how == "lists"
    division = divided("abcde", lists, without_boxes="bcd")
    assert division.reason.endswith("only 1 of the 4 pictures of the data set's test part have boxes")
    # What is known to show nothing is neither with boxes nor without.
    assert divided("abcde", lists, empty="bcd").how == "lists"


def test_names_without_a_picture_do_not_count() -> None:
    lists = {"train.txt": ["a"], "val.txt": ["b"], "test.txt": ["gone"]}
    assert divided("ab", lists).parts == {"a": "train", "b": "validation"}


@pytest.mark.parametrize(
    ("lists", "complaint"),
    [
        ({"trainval.txt": ["a", "b"], "test.txt": ["c"]}, r"the data set's test part \(1 picture\) has no boxes"),
        ({"train.txt": ["a"]}, "the only part that the data set names is train"),
        ({}, "the data set does not say which pictures are for which part"),
    ],
)
def test_a_plan_that_insists_is_refused_where_there_is_nothing_to_follow(lists, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=f'the plan\'s split.lists is "follow", but {complaint}'):
        divided("abc", lists, without_boxes="c", plan="follow")


@pytest.mark.parametrize(
    ("lists", "parts"),
    [
        ({"trainval.txt": "ab", "test.txt": "c"}, {"a": "trainval", "b": "trainval", "c": "test"}),
        ({"trainval.txt": "abc", "val.txt": "c"}, {"a": "train", "b": "train", "c": "validation"}),
        ({"trainval.txt": "abc", "train.txt": "ab"}, {"a": "train", "b": "train", "c": "validation"}),
        ({"trainval.txt": "abc", "train.txt": "a", "val.txt": "b"}, {"a": "train", "b": "validation"}),
        ({"train.txt": "abc", "test.txt": "c"}, {"a": "train", "b": "train", "c": "test"}),
        ({"train.txt": "a", "val.txt": "b", "cat_test.txt": "c"}, {"a": "train", "b": "validation"}),
    ],
)
def test_the_more_specific_list_and_the_more_protected_part_win(lists, parts) -> None:
    division = divided("abc", lists)
    assert (division.how, division.parts) == ("lists", parts)


def test_a_picture_on_the_lists_of_two_parts_is_remarked_on() -> None:
    division = divided("abc", {"train.txt": "abc", "test.txt": "c"})
    assert division.conflicts == {"c": "it is named in test.txt and train.txt; used for test"}


def test_the_only_part_beside_training_is_held_out_for_the_score() -> None:
    division = divided("abcd", {"train.txt": "abc", "val.txt": "d"})
    assert division.reason.endswith(
        "train.txt (3), val.txt (1); its validation part is held out for the final score, "
        "and 0.125 of the rest is drawn by content for validation"
    )


def test_folders_tell_the_parts() -> None:
    division = divided(["images/train/1", "images/val2017/1", "test/images/1", "other/1"])
    assert division.parts == {
        "images/train/1": "train", "images/val2017/1": "validation", "test/images/1": "test"
    }  # fmt: skip
    assert division.reason == "the data set's own folders are followed: train (1), validation (1), test (1)"


def test_folders_may_be_called_sets() -> None:
    division = divided(["training_set/1", "val-set/images/1", "test data/1", "offset/1"])
    assert division.parts == {"training_set/1": "train", "val-set/images/1": "validation", "test data/1": "test"}


def test_what_the_annotations_state_comes_before_folders_and_lists_before_both() -> None:
    pictures = ["train/1", "train/2", "test/3"]
    stated = {"train/2": "validation"}
    division = divided(pictures, stated=stated)
    assert division.parts == {"train/1": "train", "train/2": "validation", "test/3": "test"}
    assert division.reason == (
        "the parts stated by the data set's annotations are followed: train (1), validation (1), test (1)"
    )
    lists = {"train.txt": ["test/3", "train/1"], "val.txt": ["train/2"]}
    assert divided(pictures, lists, stated=stated).parts == {
        "train/1": "train", "train/2": "validation", "test/3": "train"
    }  # fmt: skip
    assert divided(pictures, {"train.txt": ["test/3"]}, stated=stated).parts["test/3"] == "test"


def test_what_lists_do_not_name_stays_held_out() -> None:
    lists = {"train.txt": ["train/1", "train/2"], "val.txt": ["train/3"]}
    pictures = ["train/1", "train/2", "train/3", "train/4", "test/5", "more/6", "more/7", "test/8"]
    division = divided(pictures, lists, stated={"more/6": "test", "more/7": "train"}, without_boxes=["test/8"])
    assert division.parts == {
        "train/1": "train", "train/2": "train", "train/3": "validation", "test/5": "test", "more/6": "test"
    }  # fmt: skip
    assert division.reason == (
        "the data set's own lists are followed: train.txt (2), val.txt (1); "
        "on none of them, but held out by annotations or folders: test (2)"
    )


def test_a_picture_that_annotations_give_to_two_parts_is_held_out() -> None:
    stated = {"a": "train", "b": "train", "c": "validation", "d": "train"}
    division = divided("abcd", stated=stated, stated_too={"b": "validation", "d": "train"})
    assert division.parts == {"a": "train", "b": "validation", "c": "validation", "d": "train"}
    assert division.conflicts == {"b": "annotations give it to train and validation; used for validation"}


def test_a_published_test_folder_without_annotations_makes_the_folders_unfit() -> None:
    pictures = ["train2017/1", "val2017/2", "test2017/3", "test2017/4"]
    stated = {"train2017/1": "train", "val2017/2": "validation"}
    division = divided(pictures, stated=stated, without_boxes=["test2017/3", "test2017/4"])
    assert division.reason.endswith("the data set's test part (2 pictures) has no boxes")


def test_identical_pictures_go_to_the_most_protected_of_their_parts() -> None:
    lists = {"train.txt": "abc", "val.txt": "de", "test.txt": "f"}
    division = divided("abcdefg", lists, same_pixels={"b": "x", "f": "x", "g": "d"})
    assert division.parts == dict(
        zip("abcdefg", ["train", "test", "train"] + 2 * ["validation"] + ["test", "validation"], strict=True)
    )
    reason = "the same picture was given to train (b) and test (f); used for test"
    assert division.conflicts == {"b": reason, "f": reason}


def test_a_part_that_only_repeats_another_is_no_part() -> None:
    division = divided("abc", {"train.txt": "ab", "test.txt": "c"}, same_pixels={"a": "x", "b": "x", "c": "x"})
    assert division.reason.endswith("the only part that the data set names is test")


def test_an_unreadable_list_of_a_part_forbids_to_follow_the_others() -> None:
    lists = GivenLists({"train.txt": 1, "val.txt": 1}, ("a", "b"), {"a": ("train.txt",), "b": ("val.txt",)})
    sources = [SourceFile(name, Kind.PICTURE, Path(name), "", "JPEG") for name in "ab"]
    pairs = [Pair(source, Annotation(source, "", None, BOX)) for source in sources]
    labelled = [
        LabelledPicture(s, s, s.stored, s.path, s.path, 9, 9, (Box("cat", 0, 0, 1, 1),)) for s in sources
    ]  # fmt: skip
    assert given_division(pairs, labelled, lists, Split()).how == "lists"
    lists.unreadable = ("test.txt",)
    division = given_division(pairs, labelled, lists, Split())
    assert division.document == {
        "how": "content",
        "reason": "drawn by content, 70/10/20: test.txt, which is called like the list of a part, cannot be read",
    }
    with pytest.raises(InvalidInputError, match=r'"follow", but test\.txt, which'):
        given_division(pairs, labelled, lists, Split(lists="follow"))


def test_a_file_that_is_nearly_called_like_a_list_is_mentioned() -> None:
    listed = GivenLists(pictures=("a",), unfollowed=("train_ids.txt",))
    assert given_division([], [], listed, Split()).reason == (
        "drawn by content, 70/10/20; "
        "train_ids.txt would have to be called train.txt, val.txt or test.txt to be followed"
    )
