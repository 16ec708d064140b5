from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from prep.boxes import usable_boxes
from prep.model import Annotation, Box, Kind, SourceFile, StatedBox
from prep.quarantine import Quarantine

coordinates = st.floats(-500, 1500, allow_nan=False)


def annotation(*boxes: StatedBox, size: tuple[int, int] | None = None) -> Annotation:
    return Annotation(SourceFile("a.xml", Kind.ANNOTATION, Path("a.xml")), "a.jpg", size, boxes)


def checked(box: tuple[float, float, float, float], width: int = 200, height: int = 100):
    quarantine = Quarantine()
    boxes = usable_boxes(annotation(StatedBox(0, "cat", *box)), width, height, None, quarantine)
    return boxes, [(entry.code, entry.left_out) for entry in quarantine.entries]


@pytest.mark.parametrize(
    ("box", "corners", "entries"),
    [
        ((20, 10, 100, 50), (0.1, 0.1, 0.5, 0.5), []),
        ((0, 0, 200, 100), (0, 0, 1, 1), []),
        ((-0.5, 0, 200.5, 100), (0, 0, 1, 1), []),  # less than a pixel over the edge is rounding, not worth a line
        ((-50, 10, 100, 500), (0, 0.1, 0.5, 1), [("box_clipped", False)]),
        ((1, 1, 2, 2), (0.005, 0.01, 0.01, 0.02), []),
    ],
)
def test_a_usable_box_becomes_fractions_within_the_picture(box, corners, entries) -> None:
    boxes, quarantined = checked(box)
    assert boxes == (Box("cat", *corners),)
    assert quarantined == entries


@pytest.mark.parametrize(
    ("box", "code"),
    [
        ((10, 10, 10, 10), "degenerate_box"),
        ((50, 10, 20, 40), "degenerate_box"),
        ((10, 10, 10.9, 50), "degenerate_box"),
        ((0.1, 0.1, 0.9, 0.8), "degenerate_box"),  # fractions where pixels belong
        ((300, 10, 400, 50), "box_outside"),
        ((-50, 10, 0.5, 50), "box_outside"),
        ((10, 99.5, 50, 300), "box_outside"),
    ],
)
def test_an_unusable_box_is_left_out_with_its_index(box, code) -> None:
    quarantine = Quarantine()
    given_boxes = (StatedBox(0, "dog", 1, 1, 9, 9), StatedBox(4, "cat", *box))
    boxes = usable_boxes(annotation(*given_boxes), 200, 100, None, quarantine)
    assert [b.name for b in boxes] == ["dog"]
    assert [(e.code, e.box, e.left_out, e.file) for e in quarantine.entries] == [(code, 4, True, "a.xml")]


@given(st.tuples(coordinates, coordinates, coordinates, coordinates), st.integers(1, 1000), st.integers(1, 1000))
@seeded
def test_every_box_is_either_sound_or_reported(box, width, height) -> None:
    boxes, entries = checked(box, width, height)
    assert bool(boxes) != any(left_out for _, left_out in entries)
    for usable in boxes:
        assert 0 <= usable.xmin < usable.xmax <= 1
        assert 0 <= usable.ymin < usable.ymax <= 1


def test_boxes_are_checked_against_the_picture_and_not_against_the_claim() -> None:
    quarantine = Quarantine()
    boxes = usable_boxes(annotation(StatedBox(0, "cat", 10, 10, 50, 50), size=(999, 9)), 100, 100, None, quarantine)
    assert boxes == (Box("cat", 0.1, 0.1, 0.5, 0.5),)
    assert [(e.code, e.left_out) for e in quarantine.entries] == [("size_mismatch", False)]


def test_classes_are_renamed_and_the_others_left_out_on_purpose() -> None:
    quarantine = Quarantine()
    found = annotation(StatedBox(0, "tabby", 0, 0, 9, 9), StatedBox(1, "dog", 0, 0, 9, 9))
    boxes = usable_boxes(found, 100, 100, {"tabby": "cat"}, quarantine)
    assert [box.name for box in boxes] == ["cat"]
    assert [(e.code, e.box, e.deliberate) for e in quarantine.entries] == [("unknown_class", 1, True)]
