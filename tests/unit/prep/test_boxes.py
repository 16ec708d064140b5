from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from dropspot.preparation_plan import BoxRules, PreparationPlan
from prep.boxes import usable_boxes
from prep.conventions import Conventions, conventions_of, nominal
from prep.mixed_units import DOUBTFUL
from prep.model import Annotation, Box, Kind, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.stated_size import ENLARGED, SHRUNK

EDGES = nominal("voc")
FROM_ONE = Conventions("pixel", 1, True, "")
RATIO, PERCENT = Conventions("ratio", 0, False, ""), Conventions("percent", 0, False, "")
SAID_PIXELS = Conventions("pixel", 0, False, "", fixed=True)
PLAN = PreparationPlan()
Corners = tuple[float, float, float, float]


def annotation(*boxes: StatedBox, size: tuple[int, int] | None = None, item: str = "") -> Annotation:
    return Annotation(SourceFile("a.xml", Kind.ANNOTATION, Path("a.xml")), "a.jpg", size, boxes, item=item)


def checked(box: Corners, conventions: Conventions = EDGES, width: int = 200, height: int = 100):
    quarantine = Quarantine()
    boxes = usable_boxes(annotation(StatedBox(0, "cat", *box)), width, height, conventions, PLAN, quarantine)
    return boxes, [(entry.code, entry.left_out) for entry in quarantine.entries]


@pytest.mark.parametrize(
    ("box", "corners", "entries"),
    [
        ((20, 10, 100, 50), (0.1, 0.1, 0.5, 0.5), []),
        ((0, 0, 200, 100), (0, 0, 1, 1), []),
        ((-0.5, 0, 200.5, 100), (0, 0, 1, 1), []),  # less than a pixel over the edge is rounding, not worth a line
        ((-50, 10, 100, 190), (0, 0.1, 0.5, 1), [("box_clipped", False)]),
        ((1, 1, 2, 2), (0.005, 0.01, 0.01, 0.02), []),
    ],
)
def test_a_usable_box_becomes_fractions_within_the_picture(box, corners, entries) -> None:
    boxes, quarantined = checked(box)
    assert boxes == (Box("cat", *corners),)
    assert quarantined == entries


@pytest.mark.parametrize(
    ("conventions", "box", "corners"),
    [
        (FROM_ONE, (1, 1, 200, 100), (0, 0, 1, 1)),
        (FROM_ONE, (21, 11, 100, 50), (0.1, 0.1, 0.5, 0.5)),
        (Conventions("pixel", 0, True, ""), (0, 0, 199, 99), (0, 0, 1, 1)),
        (Conventions("pixel", 1, False, ""), (21, 11, 101, 51), (0.1, 0.1, 0.5, 0.5)),
        (RATIO, (0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.5, 0.5)),
        (PERCENT, (10, 10, 50, 50), (0.1, 0.1, 0.5, 0.5)),
        # Pixels in a data set, ratios in this annotation: nothing else can be meant.
        (FROM_ONE, (0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.5, 0.5)),
        (PERCENT, (0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.5, 0.5)),
    ],
)
def test_a_box_is_read_by_its_conventions(conventions, box, corners) -> None:
    assert checked(box, conventions) == ((Box("cat", *corners),), [])


@pytest.mark.parametrize(
    ("box", "code", "conventions"),
    [
        ((10, 10, 10, 10), "degenerate_box", EDGES),
        ((10, 10, 10, 10), "degenerate_box", FROM_ONE),  # one pixel by the book, a stray click in practice
        ((50, 10, 20, 40), "degenerate_box", EDGES),
        ((10, 10, 10.9, 50), "degenerate_box", EDGES),
        ((0.1, 0.1, 0.9, 0.8), "degenerate_box", SAID_PIXELS),
        ((0.1, 0.1, 0.104, 0.8), "degenerate_box", RATIO),
        ((300, 10, 400, 50), "box_outside", EDGES),
        ((-50, 10, 0.5, 50), "box_outside", EDGES),
        ((10, 99.5, 50, 180), "box_outside", EDGES),
        ((0, 0, 1e11, 1e11), "box_outside", EDGES),  # no whole picture full of an object, but a slip
        ((10, 10, 50, 201), "box_outside", EDGES),
        ((-201, 10, 50, 50), "box_outside", EDGES),
        ((10, 10, 90, 90), "box_outside", RATIO),  # pixels among ratios, not the whole of the picture
        ((0, 0, 90, 90), "box_outside", RATIO),
        ((0, 0, 640, 480), "box_outside", PERCENT),
        ((float("nan"), 10, 50, 50), "bad_annotation", EDGES),
        ((0, 0, float("inf"), 50), "bad_annotation", EDGES),
        ((0, 0, 1.7e308, 50), "bad_annotation", RATIO),  # overflows when it is scaled
    ],
)
def test_an_unusable_box_is_left_out_with_its_index(box, code, conventions) -> None:
    quarantine = Quarantine()
    stated = annotation(StatedBox(4, "cat", *box), item="image 7")
    assert usable_boxes(stated, 200, 100, conventions, PLAN, quarantine) == ()
    [entry] = quarantine.entries
    assert (entry.code, entry.box, entry.left_out, entry.file, entry.item) == (code, 4, True, "a.xml", "image 7")
    assert not entry.deliberate


def test_a_bad_box_does_not_cost_the_others() -> None:
    quarantine = Quarantine()
    stated = annotation(StatedBox(0, "dog", 1, 1, 9, 9), StatedBox(4, "cat", 300, 0, 400, 9))
    assert [box.name for box in usable_boxes(stated, 200, 100, EDGES, PLAN, quarantine)] == ["dog"]


coordinates = st.one_of(
    st.floats(-500, 1500), st.floats(-0.1, 1.1), st.integers(-2, 300).map(float), st.floats(allow_nan=True)
)
stated_boxes = st.lists(
    st.builds(
        lambda corners, marks: (*corners, *marks),
        st.tuples(coordinates, coordinates, coordinates, coordinates),
        st.tuples(st.booleans(), st.booleans(), st.booleans()),
    ),
    max_size=5,
).map(lambda rows: [StatedBox(i, "cat", *row) for i, row in enumerate(rows)])
either = st.sampled_from(("keep", "drop"))
rules = st.builds(
    BoxRules,
    units=st.sampled_from(("auto", "pixel", "ratio", "percent")),
    first_pixel=st.sampled_from(("auto", "0", "1")),
    difficult=either,
    truncated=either,
    crowd=either,
)


@given(stated_boxes, rules, st.sampled_from(("voc", "yolo", "coco")), st.integers(1, 3000), st.integers(1, 3000))
@seeded
def test_every_stated_box_is_either_sound_or_reported(stated, rules, layout, width, height) -> None:
    quarantine, found = Quarantine(), annotation(*stated)
    conventions = conventions_of(layout, [(found, width, height)], rules)
    boxes = usable_boxes(found, width, height, conventions, PreparationPlan(boxes=rules), quarantine)
    left_out = [entry.box for entry in quarantine.entries if entry.left_out]
    assert len(set(left_out)) == len(left_out)
    assert len(boxes) + len(left_out) == len(stated)
    for box in boxes:
        assert 0 <= box.xmin < box.xmax <= 1
        assert 0 <= box.ymin < box.ymax <= 1
        assert (box.xmax - box.xmin) * width >= 0.999  # a pixel, but for the decimals of the fractions
        assert (box.ymax - box.ymin) * height >= 0.999


def test_boxes_are_checked_against_the_picture_and_not_against_the_claim() -> None:
    quarantine = Quarantine()
    stated = annotation(StatedBox(0, "cat", 10, 10, 50, 50), size=(999, 9))
    assert usable_boxes(stated, 100, 100, EDGES, PLAN, quarantine) == (Box("cat", 0.1, 0.1, 0.5, 0.5),)
    assert [(e.code, e.left_out) for e in quarantine.entries] == [("size_mismatch", False)]


@pytest.mark.parametrize(
    ("claimed", "box", "said"),
    [
        ((400, 200), (20, 20, 390, 190), "its boxes fit the stated size only"),
        ((400, 200), (20, 20, 190, 90), "if the picture was shrunk since"),  # fits the picture as well
        ((400, 400), (20, 20, 390, 190), "has 200 x 100"),  # another picture altogether
        ((100, 200), (20, 20, 90, 90), "before its EXIF data turn it"),
    ],
)
def test_another_stated_size_is_remarked_on_and_boxes_are_not_scaled_by_a_single_picture(claimed, box, said) -> None:
    quarantine = Quarantine()
    boxes = usable_boxes(annotation(StatedBox(0, "cat", *box), size=claimed), 200, 100, EDGES, PLAN, quarantine)
    assert (boxes[0].xmin, boxes[0].ymin) == (0.1, 0.2)
    [reason] = [entry.reason for entry in quarantine.entries if entry.code == "size_mismatch"]
    assert said in reason


def test_boxes_that_refer_to_a_larger_stated_size_are_scaled_with_the_picture() -> None:
    quarantine = Quarantine()
    conventions = Conventions("pixel", 1, True, "", scaled=frozenset({SHRUNK}))
    stated = annotation(StatedBox(0, "cat", 41, 41, 400, 180), size=(400, 200))
    assert usable_boxes(stated, 200, 100, conventions, PLAN, quarantine) == (Box("cat", 0.1, 0.2, 1, 0.9),)
    [entry] = quarantine.entries
    assert (entry.code, entry.left_out) == ("size_mismatch", False)
    assert entry.reason.endswith("the boxes refer to the stated size and are scaled")


def test_boxes_that_refer_to_a_smaller_stated_size_are_checked_on_it_and_scaled() -> None:
    quarantine = Quarantine()
    conventions = Conventions("pixel", 0, False, "", scaled=frozenset({ENLARGED}))
    boxes = [(10, 10, 80, 40.8), (10, 10, 110, 40), (103, 10, 109, 40), (10, 10, 10.6, 40)]
    stated = annotation(*(StatedBox(i, "cat", *box) for i, box in enumerate(boxes)), size=(100, 50))
    usable = usable_boxes(stated, 200, 100, conventions, PLAN, quarantine)
    assert usable == (Box("cat", 0.1, 0.2, 0.8, 0.816), Box("cat", 0.1, 0.2, 1, 0.8), Box("cat", 0.1, 0.2, 0.106, 0.8))
    assert [(e.code, e.box) for e in quarantine.entries] == [
        ("size_mismatch", None),
        ("box_clipped", 1),
        ("box_outside", 2),
    ]
    assert "over the edge of the 100 x 50 picture" in quarantine.entries[1].reason


def test_a_box_far_beyond_a_smaller_stated_size_was_not_drawn_on_it() -> None:
    conventions = Conventions("pixel", 0, False, "", scaled=frozenset({ENLARGED}))
    stated = annotation(StatedBox(0, "cat", 20, 20, 80, 40), StatedBox(1, "cat", 100, 50, 180, 90), size=(100, 50))
    usable = usable_boxes(stated, 200, 100, conventions, PLAN, Quarantine())
    assert usable == (Box("cat", 0.1, 0.2, 0.4, 0.4), Box("cat", 0.5, 0.5, 0.9, 0.9))


def test_swapped_corners_are_left_out_for_what_they_are() -> None:
    quarantine = Quarantine()
    stated = annotation(StatedBox(0, "cat", 190, 90, 100, 50), StatedBox(1, "cat", 10, 10, 10.5, 50))
    usable_boxes(stated, 200, 100, EDGES, PLAN, quarantine)
    swapped, thin = quarantine.entries
    assert (swapped.code, thin.code) == ("degenerate_box", "degenerate_box")
    assert "swapped" in swapped.reason
    assert thin.reason.endswith("is less than a pixel wide or high")


def test_boxes_that_may_be_percentages_or_pixels_are_left_out_by_name() -> None:
    quarantine = Quarantine()
    conventions = Conventions("pixel", 0, False, "", apart={("a.xml", "7"): DOUBTFUL})
    boxes = (StatedBox(0, "cat", 10, 10, 50, 50), StatedBox(3, "cat", 0, 0, 90, 90))
    assert usable_boxes(annotation(*boxes, item="7"), 200, 100, conventions, PLAN, quarantine) == ()
    assert [(e.code, e.box, e.left_out) for e in quarantine.entries] == [
        ("bad_annotation", 0, True),
        ("bad_annotation", 3, True),
    ]
    assert len(usable_boxes(annotation(*boxes, item="8"), 200, 100, conventions, PLAN, quarantine)) == 2


def test_a_claimed_size_of_nothing_is_only_another_size() -> None:
    quarantine = Quarantine()
    usable_boxes(annotation(StatedBox(0, "cat", 0, 0, 150, 9), size=(0, 0)), 100, 100, EDGES, PLAN, quarantine)
    assert [entry.code for entry in quarantine.entries] == ["size_mismatch", "box_clipped"]


def test_classes_are_renamed_and_the_others_left_out_on_purpose() -> None:
    quarantine = Quarantine()
    found = annotation(StatedBox(0, "tabby", 0, 0, 9, 9), StatedBox(1, "dog", 0, 0, 9, 9))
    boxes = usable_boxes(found, 100, 100, EDGES, PreparationPlan(classes={"tabby": "cat"}), quarantine)
    assert [box.name for box in boxes] == ["cat"]
    assert [(e.code, e.box, e.deliberate) for e in quarantine.entries] == [("unknown_class", 1, True)]


@pytest.mark.parametrize("kind", ["difficult", "truncated", "crowd"])
def test_the_plan_leaves_out_a_kind_of_object_on_purpose_or_keeps_it(kind) -> None:
    found = annotation(StatedBox(0, "cat", 0, 0, 9, 9, **{kind: True}), StatedBox(1, "cat", 0, 0, 9, 9))
    counts = {}
    for rule in ("keep", "drop"):
        quarantine = Quarantine()
        plan = PreparationPlan(boxes=BoxRules(**{kind: rule}))
        counts[rule] = len(usable_boxes(found, 100, 100, EDGES, plan, quarantine))
        expected = [(f"{kind}_object", 0, True)] if rule == "drop" else []
        assert [(e.code, e.box, e.deliberate) for e in quarantine.entries] == expected
    assert counts == {"keep": 2, "drop": 1}


def test_difficult_objects_and_crowds_are_marked_for_the_truth() -> None:
    found = annotation(
        StatedBox(0, "cat", 0, 0, 9, 9, difficult=True),
        StatedBox(1, "cat", 0, 0, 9, 9, crowd=True),
        StatedBox(2, "cat", 0, 0, 9, 9, truncated=True),
    )
    plan = PreparationPlan(boxes=BoxRules(crowd="keep"))
    boxes = usable_boxes(found, 100, 100, EDGES, plan, Quarantine())
    assert [box.difficult for box in boxes] == [True, True, False]


def test_a_claimed_size_of_hundreds_of_digits_is_only_another_size() -> None:
    quarantine = Quarantine()
    box = StatedBox(0, "cat", 10, 10, 50, 50)
    assert len(usable_boxes(annotation(box, size=(10**400, 3)), 200, 100, EDGES, PLAN, quarantine)) == 1
    assert [entry.code for entry in quarantine.entries] == ["size_mismatch"]
