import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import SPLITS, Split
from prep.given_parts import PARTS, Division
from prep.model import Box, Kind, LabelledPicture, SourceFile
from prep.quarantine import Quarantine
from prep.split import split


def picture(identity: int, classes: str, copy: int = 0) -> LabelledPicture:
    """A picture showing the classes (one letter each); `copy` tells apart pictures with the same pixels."""
    name = f"p{identity}_{copy}"
    return LabelledPicture(
        SourceFile(f"{name}.jpg", Kind.PICTURE, Path(name)),
        SourceFile(f"{name}.xml", Kind.ANNOTATION, Path(name)),
        Path(name),
        f"payload{identity}.{copy}",
        f"pixels{identity}",
        10,
        10,
        tuple(Box(letter, 0, 0, 1, 1) for letter in classes),
    )


def side_of(shared: dict[str, list[LabelledPicture]]) -> dict[str, str]:
    return {p.source.path: side for side, pictures in shared.items() for p in pictures}


def two_to_spare(pictures: list[LabelledPicture]) -> bool:
    """Whether some two different pictures can be held out while every class stays in training (by trying all)."""
    shown: dict[str, set[str]] = {}
    for one in pictures:
        shown.setdefault(one.pixel_digest, set()).update(box.name for box in one.boxes)
    every = set().union(*shown.values())
    return any(
        set().union(*(names for key, names in shown.items() if key not in pair)) == every
        for pair in combinations(shown, 2)
    )


collections = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", "c", "ab", "bc", "abd", "e"])), min_size=12, max_size=60
).map(lambda rows: [picture(identity, classes, copy) for copy, (identity, classes) in enumerate(rows)])


@given(collections, st.integers(0, 5))
@seeded
def test_nothing_is_lost_doubled_or_on_two_sides(pictures: list[LabelledPicture], seed: int) -> None:
    try:
        shared = split(pictures, Split(seed=seed))
    except InvalidInputError:
        assert not two_to_spare(pictures)
        return
    assert Counter(p for pictures in shared.values() for p in pictures) == Counter(pictures)
    sides = [{p.pixel_digest for p in shared[side]} for side in SPLITS]
    assert len(set.union(*sides)) == sum(len(side) for side in sides)


@given(collections, st.randoms())
@seeded
def test_the_order_of_the_input_is_of_no_matter(pictures: list[LabelledPicture], shuffler: random.Random) -> None:
    def result() -> object:
        try:
            return split(pictures, Split())
        except InvalidInputError as error:
            return str(error)

    before = result()
    shuffler.shuffle(pictures)
    assert result() == before


@given(st.lists(st.sampled_from("abcdef"), min_size=6, max_size=80))
@seeded
def test_a_class_is_always_trained_and_held_out_from_three_pictures_on(letters: list[str]) -> None:
    pictures = [picture(i, letter) for i, letter in enumerate(letters)]
    counts = Counter(letters)
    if not two_to_spare(pictures):
        with pytest.raises(InvalidInputError, match="too few"):
            split(pictures, Split())
        return
    shared = split(pictures, Split())
    for letter, count in counts.items():
        sides = {side for side in SPLITS if any(p.boxes[0].name == letter for p in shared[side])}
        assert "train" in sides
        assert count < 3 or sides == set(SPLITS)


def test_a_class_spread_over_rarer_ones_is_still_held_out() -> None:
    # "a" appears on every picture, but each stratum (b, c, d, ...) is too small to hold anything out by itself.
    pictures = [picture(i, "a" + letter) for i, letter in enumerate("bbccddeeff")]
    shared = split(pictures, Split())
    assert all(shared[side] for side in SPLITS)
    trained = {box.name for p in shared["train"] for box in p.boxes}
    assert trained == set("abcdef")


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_the_shares_are_kept(count: int) -> None:
    shared = split([picture(i, "ab"[i % 2]) for i in range(count)], Split(0.7, 0.1, 0.2))
    sizes = [len(shared[side]) for side in SPLITS]
    assert sizes == pytest.approx([0.7 * count, 0.1 * count, 0.2 * count], abs=2)


def test_the_seed_decides_and_names_do_not() -> None:
    pictures = [picture(i, "a") for i in range(40)]
    assert side_of(split(pictures, Split(seed=1))) != side_of(split(pictures, Split(seed=2)))


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_pictures_say_so(count: int) -> None:
    with pytest.raises(InvalidInputError, match="too few to split: nothing is left for"):
        split([picture(i, "a") for i in range(count)], Split())


def followed(pictures: list[LabelledPicture], parts: list[str], conflicts: dict[str, str] | None = None) -> Division:
    given = {p.source.path: part for p, part in zip(pictures, parts, strict=True) if part}
    return Division("lists", "the lists", given, conflicts or {})


def test_a_division_of_three_parts_is_followed_exactly() -> None:
    pictures = [picture(i, "ab"[i % 2]) for i in range(12)]
    parts = ["train"] * 5 + ["validation"] * 4 + ["test"] * 3
    quarantine = Quarantine()
    shared = split(pictures, Split(), followed(pictures, parts), quarantine)
    assert side_of(shared) == {p.source.path: part for p, part in zip(pictures, parts, strict=True)}
    assert quarantine.entries == []
    # The sides are shuffled all the same: records in the order of a list would be read so.
    assert [p.source.path for p in shared["train"]] != [p.source.path for p in pictures[:5]]


@pytest.mark.parametrize("held_out", ["validation", "test"])
@pytest.mark.parametrize("training", ["train", "trainval"])
def test_with_one_part_held_out_validation_is_drawn_from_training(training: str, held_out: str) -> None:
    pictures = [picture(i, "ab"[i % 2]) for i in range(100)]
    parts = [training] * 80 + [held_out] * 20
    shared = split(pictures, Split(0.7, 0.1, 0.2), followed(pictures, parts))
    assert {p.source.path for p in shared["test"]} == {p.source.path for p in pictures[80:]}
    assert len(shared["validation"]) == 80 // 8
    assert {box.name for p in shared["validation"] for box in p.boxes} == {"a", "b"}


def test_a_class_that_is_rare_in_the_training_part_stays_in_training() -> None:
    pictures = [picture(i, "a") for i in range(10)] + [picture(10, "b"), picture(11, "b"), picture(12, "b")]
    shared = split(pictures, Split(), followed(pictures, ["train"] * 11 + ["test"] * 2))
    assert "p10_0.jpg" in {p.source.path for p in shared["train"]}


def test_a_training_part_too_small_for_validation_says_so() -> None:
    pictures = [picture(i, "ab"[i % 2]) for i in range(6)]
    with pytest.raises(InvalidInputError, match="2 different usable pictures are too few to draw validation from"):
        split(pictures, Split(), followed(pictures, ["train"] * 2 + ["test"] * 4))


@pytest.mark.parametrize(("part", "complaint"), [("train", "to hold out"), ("test", "to train on")])
def test_parts_that_leave_a_side_empty_say_so(part: str, complaint: str) -> None:
    pictures = [picture(i, "a") for i in range(9)]
    with pytest.raises(InvalidInputError, match=f"own parts leave no usable picture {complaint}"):
        split(pictures, Split(), followed(pictures, [part] * 9))


def test_what_no_list_names_is_trained_on_with_a_remark() -> None:
    pictures = [picture(i, "a") for i in range(8)] + [picture(7, "b", 1)]
    parts = ["train"] * 4 + ["validation", "test", "", "test", ""]
    quarantine = Quarantine()
    shared = split(pictures, Split(), followed(pictures, parts), quarantine)
    assert side_of(shared)["p6_0.jpg"] == "train"
    assert side_of(shared)["p7_1.jpg"] == "test"  # it has the pixels of one that is listed
    assert [(e.file, e.code, e.left_out) for e in quarantine.entries] == [("p6_0.jpg", "not_listed", False)]


def test_conflicts_of_used_pictures_are_remarked_on() -> None:
    pictures = [picture(i, "a") for i in range(3)]
    quarantine = Quarantine()
    division = followed(pictures, ["train", "validation", "test"], {"p2_0.jpg": "both", "copy.jpg": "both"})
    split(pictures, Split(), division, quarantine)
    assert [(e.file, e.code, e.reason) for e in quarantine.entries] == [("p2_0.jpg", "split_conflict", "both")]


def test_a_division_by_content_is_drawn() -> None:
    pictures = [picture(i, "a") for i in range(40)]
    assert split(pictures, Split(), Division("content", "as ever"), Quarantine()) == split(pictures, Split())


@given(collections, st.lists(st.sampled_from([*PARTS, ""]), min_size=60, max_size=60), st.randoms())
@seeded
def test_followed_parts_lose_double_and_leak_nothing_in_any_order(
    pictures: list[LabelledPicture], parts: list[str], shuffler: random.Random
) -> None:
    division = followed(pictures, parts[: len(pictures)])

    def result() -> dict[str, list[LabelledPicture]] | str:
        try:
            return split(pictures, Split(), division)
        except InvalidInputError as error:
            return str(error)

    shared = result()
    shuffler.shuffle(pictures)
    assert result() == shared
    if isinstance(shared, str):
        return
    assert Counter(p for side in shared.values() for p in side) == Counter(pictures)
    sides = [{p.pixel_digest for p in shared[side]} for side in SPLITS]
    assert all(sides)
    assert len(set.union(*sides)) == sum(len(side) for side in sides)
    given = set(division.parts.values()) & {"validation", "test"}
    for one in pictures:
        part = division.parts.get(one.source.path, "")
        if part == "test" or (part == "validation" and len(given) == 1):
            assert one in shared["test"]
        if part == "validation":
            assert one not in shared["train"]
