import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from dropspot.preparation_plan import BoxRules, PreparationPlan
from prep.boxes import usable_boxes
from prep.conventions import conventions_by_layout, conventions_of
from prep.mixed_units import DOUBTFUL
from prep.model import Annotation, Kind, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.stated_size import ENLARGED, SHRUNK

FILE = SourceFile("a.xml", Kind.ANNOTATION, Path("a.xml"))
AUTO = BoxRules()
Corners = tuple[float, float, float, float]

# How a box with these edges is written down: pixels counted from the picture's corner, its width and height.
WRITTEN: dict[str, Callable[[Sequence[float], int, int], tuple[float, ...]]] = {
    "edges": lambda box, w, h: tuple(box),
    "from one": lambda box, w, h: (box[0] + 1, box[1] + 1, box[2], box[3]),
    "from zero, last inside": lambda box, w, h: (box[0], box[1], box[2] - 1, box[3] - 1),
    "ratio": lambda box, w, h: tuple(round(edge / side, 6) for edge, side in zip(box, (w, h, w, h), strict=True)),
    "percent": lambda box, w, h: tuple(
        round(edge / side * 100, 3) for edge, side in zip(box, (w, h, w, h), strict=True)
    ),
}
EXPECTED = {
    "edges": ("pixel", 0, False),
    "from one": ("pixel", 1, True),
    "from zero, last inside": ("pixel", 0, True),
    "ratio": ("ratio", 0, False),
    "percent": ("percent", 0, False),
}


def stated(*boxes: Sequence[float], layout: str = "voc", size: tuple[int, int] | None = None) -> Annotation:
    return Annotation(FILE, "", size, tuple(StatedBox(i, "cat", *box) for i, box in enumerate(boxes)), layout)


def found(annotations: Sequence[tuple[Annotation, int, int]], rules: BoxRules = AUTO, layout: str = "voc"):
    conventions = conventions_of(layout, annotations, rules)
    return conventions.units, conventions.first_pixel, conventions.last_pixel_inside


def true_box(draw: random.Random, width: int, height: int) -> Corners:
    """An object anywhere on the picture, cut at its edges."""
    half_x, half_y = draw.uniform(0.05, 0.4) * width, draw.uniform(0.05, 0.4) * height
    x, y = draw.uniform(0, width), draw.uniform(0, height)
    xmin, ymin = round(max(x - half_x, 0)), round(max(y - half_y, 0))
    return xmin, ymin, round(min(x + half_x, width)), round(min(y + half_y, height))


def true_boxes(seed: int, pictures: int, smallest: int = 200) -> list[tuple[list[Corners], int, int]]:
    draw = random.Random(seed)
    result = []
    for _ in range(pictures):
        width, height = draw.randint(smallest, 4 * smallest), draw.randint(smallest, 4 * smallest)
        result.append(([true_box(draw, width, height) for _ in range(draw.randint(1, 4))], width, height))
    return result


def written(convention: str, pictures: Sequence[tuple[list[Corners], int, int]], layout: str = "voc"):
    write = WRITTEN[convention]
    return [(stated(*(write(box, w, h) for box in boxes), layout=layout), w, h) for boxes, w, h in pictures]


@pytest.mark.parametrize("convention", WRITTEN)
@given(seed=st.integers(0, 2**31), pictures=st.integers(40, 80))
@seeded
def test_boxes_come_back_from_every_convention_within_a_pixel(convention, seed, pictures) -> None:
    truth = true_boxes(seed, pictures)
    annotations = written(convention, truth)
    conventions = conventions_of("voc", annotations, AUTO)
    assert (conventions.units, conventions.first_pixel, conventions.last_pixel_inside) == EXPECTED[convention]
    for (annotation, width, height), (boxes, _, _) in zip(annotations, truth, strict=True):
        usable = usable_boxes(annotation, width, height, conventions, PreparationPlan(), Quarantine())
        assert len(usable) == len(boxes)
        for box, edges in zip(usable, boxes, strict=True):
            scaled = (box.xmin * width, box.ymin * height, box.xmax * width, box.ymax * height)
            assert scaled == pytest.approx(edges, abs=0.1)


@given(seed=st.integers(0, 2**31), pictures=st.integers(1, 80), smallest=st.sampled_from((16, 48, 200, 1000)))
@seeded
def test_pixels_are_never_taken_for_anything_else(seed, pictures, smallest) -> None:
    for convention in ("edges", "from one", "from zero, last inside"):
        annotations = written(convention, true_boxes(seed, pictures, smallest))
        # A pixel at most is lost where nothing decides between them, and they are never confused with each other.
        assert found(annotations) in {EXPECTED["edges"], EXPECTED[convention]}


@given(seed=st.integers(0, 2**31), pictures=st.integers(1, 40), layout=st.sampled_from(("voc", "yolo")))
@seeded
def test_one_broken_box_in_a_hundred_changes_nothing(seed, pictures, layout) -> None:
    annotations = written("ratio", true_boxes(seed, 40 + pictures), layout)
    broken = stated((300, 200, 5, 99999), layout=layout)
    assert found([*annotations, (broken, 640, 480)], layout=layout)[0] == "ratio"


@pytest.mark.parametrize("convention", ["from one", "from zero, last inside", "percent"])
def test_a_broken_box_among_a_hundred_changes_nothing_in_pixels_and_percent(convention) -> None:
    annotations = written(convention, true_boxes(5, 60))
    for broken in ((0, 0, 0, 0), (-7, 3, 99999, 2), (0.3, 0, 1, 99999)):
        assert found([*annotations, (stated(broken), 640, 480)]) == EXPECTED[convention]


@pytest.mark.parametrize(
    "annotations",
    [
        [(stated((2, 3, 40, 30)), 640, 480)],  # one picture
        [(stated((2, 3, 40.5, 30.25), (60, 50, 95, 99)), 640, 480)] * 4,  # few pictures
        [(stated((2, 3, 10 + i, 20), (5, 70, 95, 90)), 64 + i, 48) for i in range(50)],  # tiny pictures
        [(stated((0, 0, 32, 32)), 32, 32)] * 100,  # icons
        [(stated((8, 6, 92, 95)), 1920, 1080)] * 100,  # a channel's logo, always in one place
        [(stated((i % 30, i % 40, i % 30 + 25.5, i % 40 + 20)), 640, 480) for i in range(50)],  # all in one corner
    ],
)
def test_pixels_near_the_top_left_corner_are_not_percentages(annotations) -> None:
    assert found(annotations)[0] == "pixel"


@pytest.mark.parametrize(("layout", "units"), [("voc", "pixel"), ("coco", "pixel"), ("yolo", "ratio")])
def test_without_evidence_the_layouts_own_units_hold(layout, units) -> None:
    for annotations in ([], [(stated(), 64, 48)], [(stated((0, 0, 1, 1)), 64, 48)]):
        assert found(annotations, layout=layout) == (units, 0, False)


def test_yolo_files_in_pixels_are_read_as_pixels() -> None:
    assert found(written("edges", true_boxes(1, 20), "yolo"), layout="yolo") == ("pixel", 0, False)


def test_half_of_the_files_in_ratios_are_noticed_and_each_file_is_read_as_what_it_is() -> None:
    pixels, ratios = written("from one", true_boxes(1, 40)), written("ratio", true_boxes(2, 40))
    conventions = conventions_of("voc", [*pixels, *ratios], AUTO)
    assert (conventions.units, conventions.first_pixel) == ("pixel", 1)
    assert {conventions.units_of(annotation) for annotation, _, _ in pixels} == {"pixel"}
    assert {conventions.units_of(annotation) for annotation, _, _ in ratios} == {"ratio"}
    assert conventions.evidence.endswith("mixed: 40 of 80 annotations state ratios and are read so")


def test_what_the_plan_says_is_not_questioned() -> None:
    ratios = written("ratio", true_boxes(1, 20))
    conventions = conventions_of("voc", ratios, BoxRules(units="pixel", first_pixel="1"))
    assert (conventions.units, conventions.first_pixel, conventions.last_pixel_inside) == ("pixel", 1, True)
    assert conventions.units_of(ratios[0][0]) == "pixel"
    assert "the plan says so" in conventions.evidence
    assert "as the plan says" in conventions.evidence
    assert found(written("percent", true_boxes(1, 2)), BoxRules(units="percent")) == ("percent", 0, False)
    assert found(written("from one", true_boxes(1, 60)), BoxRules(first_pixel="0")) == ("pixel", 0, False)
    inside = written("from zero, last inside", true_boxes(1, 60))
    assert found(inside, BoxRules(first_pixel="0")) == ("pixel", 0, True)


@pytest.mark.parametrize("layout", ["coco", "sagemaker-json", "manifest", "yolo"])
def test_a_layout_that_states_sizes_counts_from_one_only_by_the_plan(layout) -> None:
    annotations = written("from one", true_boxes(1, 60), layout)
    assert found(annotations, layout=layout) == ("pixel", 0, False)
    assert found(annotations, BoxRules(first_pixel="1"), layout) == ("pixel", 1, False)


def test_pictures_shrunk_after_they_were_annotated_tell_nothing_about_the_first_pixel() -> None:
    annotations = [(stated((1, 1, 400, 300), size=(800, 600)), 400, 300)] * 20
    assert found(annotations) == ("pixel", 0, False)
    assert found([(stated((1, 1, 400, 300), size=(400, 300)), 400, 300)] * 20) == ("pixel", 1, True)


def test_coordinates_with_fractions_are_edges() -> None:
    draw = random.Random(3)
    annotations = [(stated((1, 1, 640, draw.uniform(50, 400))), 640, 480) for _ in range(40)]
    assert found(annotations) == ("pixel", 0, False)


def test_evidence_says_when_nothing_decides() -> None:
    assert "nothing decides" in conventions_of("voc", [(stated((5, 5, 40, 30)), 64, 48)], AUTO).evidence


def test_every_layout_is_judged_by_itself_and_stated_in_the_report() -> None:
    both = [*written("percent", true_boxes(1, 40)), *written("edges", true_boxes(2, 40), "coco")]
    conventions = conventions_by_layout(both, AUTO)
    assert {layout: each.units for layout, each in conventions.items()} == {"coco": "pixel", "voc": "percent"}
    assert conventions["voc"].document == {
        "units": "percent",
        "first_pixel": 0,
        "last_pixel_inside": False,
        "evidence": conventions["voc"].evidence,
    }


@given(st.lists(st.tuples(*[st.floats()] * 4), max_size=20), st.integers(1, 10**6), st.integers(1, 10**6))
@seeded
def test_no_numbers_break_the_judgement(boxes, width, height) -> None:
    for layout in ("voc", "yolo"):
        assert found([(stated(box), width, height) for box in boxes], layout=layout)[0] in ("pixel", "ratio", "percent")


def in_files(annotations, folder: str):
    """The same annotations, each in a file of its own."""
    return [
        (dataclasses.replace(a, file=SourceFile(f"{folder}/{i}.xml", Kind.ANNOTATION, Path("a.xml"))), w, h)
        for i, (a, w, h) in enumerate(annotations)
    ]


def both(pixels, percentages):
    """How the annotations of two populations are read, and the conventions."""
    conventions = conventions_of("voc", [*pixels, *percentages], AUTO)
    return conventions, *({conventions.units_of(a) for a, _, _ in group} for group in (pixels, percentages))


def test_percentages_among_pixels_are_read_as_what_they_are_file_by_file() -> None:
    pixels = in_files(written("from one", true_boxes(1, 30, 400)), "a")
    percentages = in_files(written("percent", true_boxes(2, 30, 400)), "b")
    for prefix in ("b", "a/x"):  # a folder of their own, and names among the others
        percentages = in_files(percentages, prefix)
        conventions, *units = both(pixels, percentages)
        assert units == [{"pixel"}, {"percent"}]
        assert (conventions.units, conventions.first_pixel) == ("pixel", 1)
        assert "mixed: 30 " in conventions.evidence
        assert conventions.warnings[0].startswith("voc: mixed: 30 ")


def test_percentages_are_found_one_by_one_in_a_single_folder() -> None:
    truth = true_boxes(3, 60, 400)
    mixed = [written("percent" if i % 2 else "edges", [each])[0] for i, each in enumerate(truth)]
    mixed = in_files(mixed, "labels")
    conventions, even, odd = both(mixed[::2], mixed[1::2])
    assert (even, odd) == ({"pixel"}, {"percent"})
    assert "30 of 60 annotations lie within 0 and 100" in conventions.evidence


def corner_objects(count: int, left: int = 0, top: int = 0):
    """Small objects all over a square of 100 pixels."""
    draw = random.Random(7)
    return [
        (stated((x, y, x + 10, y + 10)), 800, 600)
        for x, y in ((left + draw.randint(0, 90), top + draw.randint(0, 90)) for _ in range(count))
    ]


def test_a_mixture_that_cannot_be_taken_apart_is_left_out_and_said() -> None:
    pixels = written("edges", true_boxes(4, 40, 400)) + corner_objects(4, 700, 0)
    mixed = in_files([*pixels, *corner_objects(36)], "one")
    conventions = conventions_of("voc", mixed, AUTO)
    assert {conventions.units_of(a) for a, _, _ in mixed[:44]} == {"pixel"}
    assert {conventions.units_of(a) for a, _, _ in mixed[44:]} == {DOUBTFUL}
    [warning] = conventions.warnings
    assert "36 of 80 annotations" in warning
    assert conventions.document["warnings"] == [warning]


def test_a_surplus_in_the_corner_is_warned_of_and_read_as_pixels() -> None:
    mixed = in_files(corner_objects(30, 700, 500) + corner_objects(70) + corner_objects(20, 300, 300), "one")
    conventions = conventions_of("voc", mixed, AUTO)
    assert {conventions.units_of(a) for a, _, _ in mixed} == {"pixel"}
    assert "could be percentages" in conventions.warnings[0]


def test_small_objects_anywhere_are_pixels_without_a_warning() -> None:
    draw = random.Random(9)
    spots = [(draw.randint(0, 300), draw.randint(0, 200)) for _ in range(400)]
    mixed = in_files([(stated((x, y, x + 20, y + 20)), 320, 220) for x, y in spots], "one")
    conventions = conventions_of("voc", mixed, AUTO)
    assert (conventions.units, dict(conventions.apart), conventions.warnings) == ("pixel", {}, ())


def shrunk(share: float, count: int = 40):
    """Boxes drawn on pictures that were brought to a share of their size since."""
    return [
        (dataclasses.replace(a, claimed_size=(w, h)), round(w * share), round(h * share))
        for a, w, h in written("from one", true_boxes(6, count, 400))
    ]


@pytest.mark.parametrize("share", [0.5, 0.85])
def test_boxes_refer_to_the_stated_size_where_they_all_agree_on_it(share) -> None:
    annotations = shrunk(share)
    conventions = conventions_of("voc", annotations, AUTO)
    assert "40 annotations state a larger size of the same shape" in conventions.evidence
    assert "are scaled" in conventions.warnings[0]
    assert (conventions.first_pixel, conventions.last_pixel_inside) == (1, True)
    annotation, width, height = annotations[0]
    assert conventions.size_referred_to(annotation, width, height) == annotation.claimed_size
    quarantine = Quarantine()
    for each, w, h in annotations:
        assert len(usable_boxes(each, w, h, conventions, PreparationPlan(), quarantine)) == len(each.boxes)
    assert {entry.code for entry in quarantine.entries} == {"size_mismatch"}


def test_a_larger_stated_size_is_not_believed_where_the_boxes_fit_the_picture() -> None:
    annotations = [
        (dataclasses.replace(a, claimed_size=(2 * w, 2 * h)), w, h) for a, w, h in written("edges", true_boxes(6, 40))
    ]
    careless = [(stated((5, 5, w + 9, 40), size=(2 * w, 2 * h)), w, h) for _, w, h in annotations[:3]]
    for all_of_them in (annotations, annotations + careless):
        conventions = conventions_of("voc", all_of_them, AUTO)
        assert not conventions.scaled
        assert f"larger size of the same shape: {len(all_of_them)}; " in conventions.warnings[0]
        assert conventions.size_referred_to(*all_of_them[0]) == all_of_them[0][1:]


def smaller_stated(truth, layout: str, factor: float, *, drawn_on_it: bool):
    """Boxes that state a smaller size than their picture has: the one they were drawn on, or merely a wrong one."""
    sides = [((w, h), (round(w * factor), round(h * factor))) for _, w, h in truth]
    if not drawn_on_it:
        sides = [((round(w / factor), round(h / factor)), (w, h)) for _, w, h in truth]
    found = written("edges", truth, layout)
    return [
        (dataclasses.replace(a, claimed_size=small), *large)
        for (a, _, _), (small, large) in zip(found, sides, strict=True)
    ]


BOTH_SIZES = pytest.mark.parametrize(("layout", "factor"), [("voc", 1.25), ("voc", 2), ("coco", 1.25), ("coco", 2)])


@BOTH_SIZES
@given(seed=st.integers(0, 2**31), pictures=st.integers(40, 80))
@seeded
def test_boxes_drawn_on_a_smaller_picture_are_scaled_to_the_larger(layout, factor, seed, pictures) -> None:
    truth = true_boxes(seed, pictures)
    annotations = smaller_stated(truth, layout, factor, drawn_on_it=True)
    conventions = conventions_of(layout, annotations, AUTO)
    assert f"{pictures} annotations state a smaller size of the same shape" in conventions.evidence
    [warning] = conventions.warnings
    assert "were enlarged, and these boxes are scaled" in warning
    quarantine = Quarantine()
    for (annotation, *size), (boxes, width, height) in zip(annotations, truth, strict=True):
        usable = usable_boxes(annotation, *size, conventions, PreparationPlan(), quarantine)
        for box, edges in zip(usable, boxes, strict=True):
            drawn = (box.xmin * width, box.ymin * height, box.xmax * width, box.ymax * height)
            assert drawn == pytest.approx(edges, abs=0.001)
    assert {entry.code for entry in quarantine.entries} == {"size_mismatch"}


@BOTH_SIZES
@given(seed=st.integers(0, 2**31), pictures=st.integers(1, 80))
@seeded
def test_boxes_drawn_on_the_larger_picture_stay_whatever_smaller_size_is_stated(layout, factor, seed, pictures) -> None:
    annotations = smaller_stated(true_boxes(seed, pictures), layout, factor, drawn_on_it=False)
    conventions = conventions_of(layout, annotations, AUTO)
    assert conventions.scaled == frozenset()
    assert all(conventions.size_referred_to(*each) == each[1:] for each in annotations)


def spread(seed: int, left: float, right: float, count: int = 60):
    """Boxes anywhere between two shares of both sides of a picture."""
    draw = random.Random(seed)
    result = []
    for _ in range(count):
        corners = [sorted(draw.uniform(left, right) for _ in range(2)) for _ in range(2)]
        (a, c), (b, d) = corners
        result.append(([(round(a * 640), round(b * 480), round(c * 640) + 2, round(d * 480) + 2)], 640, 480))
    return result


@pytest.mark.parametrize(
    ("left", "right", "factor"),
    [
        (0, 0.4, 2),  # all in the upper left part, which ends short of the size stated
        (0.1, 0.75, 1.25),
        (0.06, 0.94, 1.05),  # nothing reaches the margin, at any side
        (0, 1, 1.02),  # a margin that few boxes reach
    ],
)
def test_boxes_that_only_happen_to_fit_a_smaller_size_are_not_scaled(left, right, factor) -> None:
    for seed in range(20):
        truth = spread(seed, left, right, 200)
        assert not conventions_of("voc", smaller_stated(truth, "voc", factor, drawn_on_it=False), AUTO).scaled


def test_a_smaller_stated_size_is_warned_of_where_too_few_boxes_decide() -> None:
    truth = true_boxes(6, 8)
    few = smaller_stated(truth, "voc", 2, drawn_on_it=True)
    conventions = conventions_of("voc", few, AUTO)
    assert conventions.size_referred_to(*few[0]) == few[0][1:]
    [warning] = conventions.warnings
    assert "smaller size of the same shape: 8, of which 8 have only boxes that fit it" in warning
    quarantine = Quarantine()
    usable_boxes(*few[0], conventions, PreparationPlan(), quarantine)
    assert "if the picture was enlarged since" in quarantine.entries[0].reason
    assert conventions_of("voc", few[:2], AUTO).warnings == ()
    # A size that is merely wrong: boxes reach past it as anywhere on the picture.
    merely_wrong = smaller_stated(true_boxes(6, 40), "voc", 2, drawn_on_it=False)
    assert conventions_of("voc", merely_wrong, AUTO).warnings == ()


def test_units_that_the_plan_states_leave_nothing_to_scale() -> None:
    enlarged = smaller_stated(true_boxes(6, 40), "voc", 2, drawn_on_it=True)
    assert conventions_of("voc", enlarged, BoxRules(units="percent")).scaled == frozenset()
    assert conventions_of("voc", enlarged, BoxRules(units="pixel", first_pixel="1")).scaled == {ENLARGED}


@pytest.mark.parametrize("layout", ["voc", "coco"])
def test_pictures_that_became_a_little_larger_are_not_taken_as_enlarged(layout: str) -> None:
    padded = smaller_stated(true_boxes(6, 80), layout, 1.024, drawn_on_it=True)  # 500 x 375 on 512 x 384
    conventions = conventions_of(layout, padded, AUTO)
    assert not conventions.scaled
    assert "read as the picture's own" in conventions.warnings[0]


def test_shrunk_and_enlarged_pictures_are_told_apart_in_one_data_set() -> None:
    enlarged = smaller_stated(true_boxes(6, 40), "voc", 2, drawn_on_it=True)
    conventions = conventions_of("voc", [*enlarged, *shrunk(0.5)], AUTO)
    assert conventions.scaled == {SHRUNK, ENLARGED}
    wrong = smaller_stated(true_boxes(6, 40), "voc", 2, drawn_on_it=False)
    conventions = conventions_of("voc", [*wrong, *shrunk(0.5)], AUTO)
    assert conventions.scaled == {SHRUNK}
    assert conventions.size_referred_to(*wrong[0]) == wrong[0][1:]


def test_corners_in_a_layout_of_sizes_are_named_as_the_mistake_they_are() -> None:
    truth = written("edges", true_boxes(8, 40), "coco")
    wrong = [
        (stated(*((b.xmin, b.ymin, b.xmin + b.xmax, b.ymin + b.ymax) for b in a.boxes), layout="coco"), w, h)
        for a, w, h in truth
    ]
    [warning] = conventions_of("coco", wrong, AUTO).warnings
    assert "[x1, y1, x2, y2]" in warning
    assert conventions_of("coco", truth, AUTO).warnings == ()
