import io
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unit.prep.minis import seeded

from prep import jpeg
from prep.decoding import Decoded
from prep.duplicates import (
    in_luma,
    look_alikes,
    perhaps_in_colour,
    told_apart,
    with_one_identity,
    without_copies,
)
from prep.model import Box, Kind, LabelledPicture, SourceFile
from prep.pixels import SOME_ROWS, Identity, identity
from prep.quarantine import Quarantine


def picture(name: str, pixels: str, *boxes: str, payload: str = "") -> LabelledPicture:
    return LabelledPicture(
        SourceFile(f"{name}.jpg", Kind.PICTURE, Path(name)),
        SourceFile(f"{name}.xml", Kind.ANNOTATION, Path(name)),
        Path(name),
        payload or pixels,
        pixels,
        9,
        9,
        tuple(Box(box, 0, 0, 1, 1) for box in boxes),
    )


def test_the_same_pixels_and_boxes_are_used_once() -> None:
    quarantine = Quarantine()
    kept = without_copies([picture("b", "1", "cat", "dog"), picture("a", "1", "dog", "cat")], quarantine)
    assert [p.source.path for p in kept] == ["a.jpg"]
    assert [(e.file, e.code, e.annotation, e.deliberate) for e in quarantine.entries] == [
        ("b.jpg", "duplicate_image", "b.xml", True)
    ]
    assert quarantine.entries[0].reason == "it is the same picture as a.jpg, with the same boxes"


def test_the_same_pixels_with_other_boxes_stay_with_a_remark() -> None:
    quarantine = Quarantine()
    kept = without_copies([picture("a", "1", "cat"), picture("b", "1", "dog"), picture("c", "2", "cat")], quarantine)
    assert len(kept) == 3
    assert [(e.file, e.code, e.left_out) for e in quarantine.entries] == [("b.jpg", "conflicting_boxes", False)]
    assert quarantine.entries[0].reason == "it is the same picture as a.jpg, but with other boxes"


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", "ab", "ba"]), st.integers(0, 2)), max_size=20),
    st.randoms(),
)
@seeded
def test_each_content_stays_once_whatever_the_order(rows: list[tuple[int, str, int]], shuffler: random.Random) -> None:
    pictures = [
        picture(f"p{n}", str(pixels), *boxes, payload=f"{pixels}.{encoding}")
        for n, (pixels, boxes, encoding) in enumerate(rows)
    ]
    first = Quarantine()
    kept = without_copies(pictures, first)
    contents = [(p.pixel_digest, tuple(sorted(p.boxes))) for p in kept]
    assert set(contents) == {(p.pixel_digest, tuple(sorted(p.boxes))) for p in pictures}
    assert len(contents) == len(set(contents))
    assert len(kept) + len(first.pictures_left_out(p.source.path for p in pictures)) == len(pictures)
    shuffler.shuffle(pictures)
    second = Quarantine()
    assert without_copies(pictures, second) == kept
    assert second.sorted() == first.sorted()


def test_pictures_that_are_written_alike_are_one_whatever_they_were() -> None:
    rows = [("a", "2", "x"), ("b", "1", "x"), ("c", "1", "y"), ("d", "3", "z"), ("e", "4", "y"), ("f", "5", "w")]
    pictures = [picture(name, pixels, "cat", payload=payload) for name, pixels, payload in rows]
    alike = with_one_identity(pictures)
    assert [p.pixel_digest for p in alike] == ["1", "1", "1", "3", "1", "5"]
    assert [p.pixel_digest for p in with_one_identity(pictures[::-1])] == ["5", "1", "3", "1", "1", "1"]
    assert [p.source.stem for p in without_copies(alike, Quarantine())] == ["f", "a", "d"]


def decoded(pixels: str, payload: str) -> Decoded:
    return Decoded(9, 9, True, 9, 9, payload, Identity(pixels, b"", in_colour=True))


def test_only_different_files_that_look_alike_are_looked_at_again_once_for_each_content() -> None:
    found = [("1", "x"), ("1", "x"), ("2", "y"), ("3", "z"), ("3", "w"), ("3", "z"), ("3", "v")]
    assert look_alikes({n: decoded(*one) for n, one in enumerate(found)}) == {3, 4, 6}


def test_files_that_are_written_alike_are_each_looked_at_again() -> None:
    anew = [replace(decoded("1", payload), passes=False) for payload in ("x", "x", "y")]
    found = dict(enumerate(anew)) | {3: decoded("1", "y")}
    assert look_alikes(found) == {0, 1, 2, 3}
    whole = {n: replace(found[n], identity=Identity(known, b"", in_colour=True)) for n, known in enumerate("abac")}
    told = told_apart(found, whole)
    assert [told[n].identity.digest for n in range(4)] == ["a", "b", "a", "c"]


def test_look_alikes_are_told_apart_by_all_their_pixels() -> None:
    found = {n: decoded("1", payload) for n, payload in enumerate("xyzx")} | {9: decoded("2", "w")}
    whole = {0: decoded("same", "x"), 1: decoded("same", "y"), 2: decoded("other", "z")}
    told = told_apart(found, whole)
    assert {n: one.identity.digest for n, one in told.items()} == {0: "same", 1: "same", 2: "other", 3: "same", 9: "2"}


def seen(picture: Image.Image, source: bytes = b"", size: tuple[int, int] = (9, 9)) -> Decoded:
    """A JPEG that passes through, known by its luma, or else a picture known by its colours."""
    strip = jpeg.luma(source) if source else jpeg.blue_first(np.asarray(picture))
    return Decoded(*size, True, *size, "", identity(picture.width, picture.height, [strip], SOME_ROWS))


def some_jpeg(seed: int, quality: int = 80, subsampling: int = 2, size: tuple[int, int] = (61, 47)) -> bytes:
    """A JPEG of colours so strong that many are cut off at black and white."""
    draw = random.Random(seed)
    picture = Image.frombytes("RGB", (6, 5), bytes(draw.choices((0, 30, 128, 255), k=90)))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def opened(source: bytes) -> Image.Image:
    return Image.open(io.BytesIO(source)).convert("RGB")


@given(st.integers(0, 9999), st.integers(1, 100), st.integers(0, 2), st.integers(1, 90), st.integers(1, 90))
@seeded
def test_a_jpeg_known_by_its_luma_is_looked_at_in_colour_where_its_pixels_are_there_in_another_format(
    seed: int, quality: int, subsampling: int, width: int, height: int
) -> None:
    source = some_jpeg(seed, quality, subsampling, (width, height))
    found = {0: seen(opened(source)), 1: seen(opened(source), source)}
    assert perhaps_in_colour(found) == {1}


def test_only_jpegs_that_may_be_the_same_picture_are_looked_at_in_colour() -> None:
    jpegs = [some_jpeg(seed) for seed in range(40)]
    found = {number: seen(opened(source), source) for number, source in enumerate(jpegs)}
    assert perhaps_in_colour(found) == set()
    assert perhaps_in_colour(found | {50: seen(opened(jpegs[7])), 51: seen(opened(some_jpeg(99)))}) == {7}
    assert perhaps_in_colour(found | {50: seen(opened(jpegs[7]), size=(9, 8))}) == set()


def test_a_picture_known_by_its_colours_takes_the_identity_of_the_jpeg_that_has_them() -> None:
    source, other = some_jpeg(1), some_jpeg(2)
    found = {
        0: seen(opened(source), source),
        1: seen(opened(source)),
        2: seen(opened(other), other),
        3: seen(opened(some_jpeg(3))),
    }
    joined = in_luma(found, {0: seen(opened(source)), 2: seen(opened(other))})
    assert joined == found | {1: replace(found[1], identity=found[0].identity)}


def test_jpegs_whose_lumas_differ_but_not_their_colours_are_known_by_one_luma() -> None:
    found = {n: Decoded(9, 9, True, 9, 9, f"{n}", Identity(known, b"", n == 2)) for n, known in enumerate("baC")}
    joined = in_luma(found, {n: replace(found[n], identity=found[2].identity) for n in (0, 1)})
    assert [one.identity.digest for one in joined.values()] == ["a", "a", "a"]


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_is_like_no_photograph(grey: int) -> None:
    jpegs = [some_jpeg(seed) for seed in range(40)]
    found = {number: seen(opened(source), source) for number, source in enumerate(jpegs)}
    assert perhaps_in_colour(found | {50: seen(Image.new("RGB", (61, 47), (grey,) * 3))}) == set()


def test_a_picture_keeps_its_identity_when_its_copy_in_another_file_joins_it() -> None:
    found = {0: decoded("1", "x"), 1: decoded("1", "y")}
    assert told_apart(found, {0: decoded("same", "x"), 1: decoded("same", "y")}) == found


def test_which_copy_stays_does_not_depend_on_the_folders() -> None:
    for folders in (("a", "b"), ("b", "a")):
        copies = [picture(f"{folder}/{name}", "1", "cat") for folder, name in zip(folders, "xy", strict=True)]
        assert [p.source.stem for p in without_copies(copies, Quarantine())] == ["x"]
