"""Key points behind YOLO boxes, where no data.yaml states them, and polygons, which are never taken for such."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import picture_bytes, seeded
from unit.prep.test_recognition import read

from dropspot.errors import InvalidInputError
from prep.readers.yolo_pose import KeyPoints

Point = tuple[float, float]
Place = Callable[[random.Random, float], Point]

PLACES: dict[str, Place] = {
    "anywhere": lambda draw, size: (draw.uniform(size / 2, 1 - size / 2), draw.uniform(size / 2, 1 - size / 2)),
    "upper left": lambda draw, size: (draw.uniform(size / 2, 0.6), draw.uniform(size / 2, 0.6)),
    "one place": lambda draw, size: (draw.uniform(0.44, 0.46), draw.uniform(0.44, 0.46)),
    "further down the larger": lambda draw, size: (min(3 * size, 0.65), min(3 * size, 0.65)),
}
SIZES = {"small": (0.02, 0.1), "of all sizes": (0.05, 0.4), "of one size": (0.2, 0.21), "large": (0.3, 0.8)}


def soup(draw: random.Random, corners: int) -> list[Point]:
    return [(draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5)) for _ in range(corners)]


def star(draw: random.Random, corners: int, inner: float) -> list[Point]:
    """A regular polygon, or one with every other corner drawn in; it begins with any of them."""
    turn = draw.randrange(corners) + draw.random()
    radii = [inner if i % 2 else 0.5 for i in range(corners)]
    angles = [math.tau * (i + turn) / corners for i in range(corners)]
    shift = draw.randrange(corners)
    ring = [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    return ring[shift:] + ring[:shift]


def oriented(draw: random.Random, corners: int) -> list[Point]:
    angle, half = draw.uniform(0, math.tau), draw.uniform(0.1, 0.5)
    c, s = math.cos(angle), math.sin(angle)
    return [(0.5 * x * c - half * y * s, 0.5 * x * s + half * y * c) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


OUTLINES = {
    "soup": (soup, (3, 4, 5, 6, 8, 12, 20)),
    "round": (lambda draw, corners: star(draw, corners, 0.5), (3, 4, 5, 6, 8, 12, 20)),
    "star": (lambda draw, corners: star(draw, corners, 0.2), (6, 8, 10, 20)),
    "upright box": (lambda draw, corners: [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], (4,)),
    "oriented box": (oriented, (4,)),
}


def found(lines: list[list[float]]) -> KeyPoints:
    key_points = KeyPoints()
    if not all(key_points.take(line) for line in lines):
        return KeyPoints()
    key_points.decide()
    return key_points


def posed(draw: random.Random, size: float, place: Place, points: int, each: int) -> list[float]:
    """A box and points anywhere within it; of three values, some are not labelled."""
    (x, y), width, height = place(draw, size), size * draw.uniform(0.6, 1), size * draw.uniform(0.6, 1)
    line = [x, y, width, height]
    for _ in range(points):
        point = [x + draw.uniform(-0.45, 0.45) * width, y + draw.uniform(-0.45, 0.45) * height]
        labelled = draw.random() < 0.8
        line += point if each == 2 else [*point, draw.choice((1, 2))] if labelled else [0, 0, 0]
    return line


@pytest.mark.parametrize("outline", OUTLINES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", SIZES)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 60), clipped=st.booleans(), data=st.data())
@seeded
def test_polygons_are_never_taken_for_key_points(outline, place, size, seed, count, clipped, data) -> None:
    outlined, corners = OUTLINES[outline]
    draw, several = random.Random(seed), data.draw(st.sampled_from(corners))
    lines = []
    for _ in range(count):
        side = draw.uniform(*SIZES[size])
        x, y = PLACES[place](draw, side)
        line = [edge for dx, dy in outlined(draw, several) for edge in (x + dx * side, y + dy * side)]
        lines.append([min(max(edge, 0.0), 1.0) for edge in line] if clipped else line)
    assert found(lines).values == 0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", ["small", "of all sizes", "of one size"])
@pytest.mark.parametrize(("points", "each"), [(1, 3), (2, 3), (4, 3), (17, 3), (21, 3), (5, 2), (17, 2), (21, 2)])
def test_key_points_are_found_by_all_lines_together(points, each, place, size) -> None:
    draw = random.Random(points)
    lines = [posed(draw, draw.uniform(*SIZES[size]), PLACES[place], points, each) for _ in range(40)]
    # A few lines are broken, or their points lie far outside.
    lines[7], lines[9][4] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 0.99
    assert found(lines).values == points * each


def seldom_labelled(draw: random.Random, share: float, points: int, each: int) -> list[float]:
    """A box and its points, or zeros in their place as COCO has them for an object without any that is labelled."""
    line = posed(draw, draw.uniform(0.1, 0.4), PLACES["anywhere"], points, each)
    return line if draw.random() < share else [*line[:4], *[0.0] * points * each]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
@pytest.mark.parametrize(("points", "each"), [(1, 3), (2, 3), (4, 3), (17, 3), (3, 2), (5, 2), (17, 2)])
def test_key_points_are_found_though_few_objects_have_any(points, each, share) -> None:
    draw = random.Random(points)
    assert found([seldom_labelled(draw, share, points, each) for _ in range(40)]).values == points * each


def test_points_of_three_values_that_show_too_little_are_in_doubt() -> None:
    draw = random.Random(2)
    alone = found([seldom_labelled(draw, 0, 4, 3)])
    assert (alone.values, alone.doubtful) == (0, True)
    placed = []
    for _ in range(40):
        line = posed(draw, 0.3, PLACES["anywhere"], 4, 3)
        line[6::3] = [0.0] * 4  # where they are is stated, and that nobody has labelled them
        placed.append(line)
    assert (found(placed).values, found(placed).doubtful) == (0, True)


@pytest.mark.parametrize("points", [1, 2])
def test_zeros_that_a_triangle_or_an_oriented_box_may_have_are_in_doubt(points) -> None:
    draw = random.Random(3)
    judged = found([seldom_labelled(draw, 0, points, 2) for _ in range(40)])
    assert (judged.values, judged.doubtful) == (0, True)


def test_a_few_polygons_cut_off_at_the_corner_of_the_picture_are_no_key_points() -> None:
    draw = random.Random(4)
    lines = []
    for number in range(60):
        outline = star(draw, 6, 0.5)
        lines.append([edge for x, y in outline for edge in (0.4 + 0.1 * x, 0.4 + 0.1 * y)])
        if number % 10 == 0:
            lines.append([0.1, 0.1, 0.12, 0.08, *[0.0] * 8])
    assert found(lines).values == 0


def test_large_boxes_with_points_are_in_doubt_where_polygons_explain_them() -> None:
    draw = random.Random(1)
    lines = [posed(draw, draw.uniform(0.7, 0.8), lambda *_: (0.5, 0.5), 17, 2) for _ in range(40)]
    assert (found(lines).values, found(lines).doubtful) == (0, True)
    few = [posed(draw, draw.uniform(0.1, 0.3), PLACES["anywhere"], 5, 2) for _ in range(6)]
    assert (found(few).values, found(few).doubtful) == (0, True)


@given(st.lists(st.lists(st.floats(), max_size=12), max_size=30))
@seeded
def test_no_numbers_break_the_judgement(lines) -> None:
    assert found(lines).values in range(9)


def labelled(mini, points: int, each: int, count: int = 20, config: str = "names: [person]\n") -> list[list[float]]:
    """A data set of one object on each picture; the values behind its class."""
    draw = random.Random(points)
    lines = [posed(draw, draw.uniform(0.1, 0.4), PLACES["anywhere"], points, each) for _ in range(count)]
    for i, line in enumerate(lines):
        mini.put(f"images/{i:02d}.jpg", picture_bytes(i))
        mini.put(f"labels/{i:02d}.txt", " ".join(["0", *(f"{value:g}" for value in line)]) + "\n")
    mini.put("data.yaml", config)
    return lines


@pytest.mark.parametrize(("points", "each"), [(5, 2), (17, 3), (4, 3)])
def test_the_boxes_come_back_and_the_first_label_says_why(points, each, mini) -> None:
    lines = labelled(mini, points, each)
    annotations, entries = read(mini)
    for annotation, (x, y, width, height, *_) in zip(annotations, lines, strict=True):
        [box] = annotation.boxes
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(edges, abs=1e-5)
    [entry] = entries
    assert (entry.file, entry.code, entry.left_out) == ("labels/00.txt", "key_points", False)
    assert f"the {points * each} values behind each box" in entry.reason
    assert any("key points" in warning for warning in mini.run().report["warnings"])


@pytest.mark.parametrize("points", [4, 17])
def test_boxes_whose_points_are_not_labelled_are_read_as_boxes(points, mini) -> None:
    lines = labelled(mini, points, 3)
    for i, line in enumerate(lines):
        zeros = " 0" * 3 * points
        mini.put(f"labels/{i:02d}.txt", f"0 {' '.join(f'{value:g}' for value in line[:4])}{zeros}\n")
    annotations, [entry] = read(mini)
    for annotation, (x, y, width, height, *_) in zip(annotations, lines, strict=True):
        [box] = annotation.boxes
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(edges, abs=1e-5)
    assert (entry.file, entry.code, entry.left_out) == ("labels/00.txt", "key_points", False)


def test_what_a_data_yaml_states_needs_no_remark(mini) -> None:
    labelled(mini, 5, 2, count=3, config="names: [person]\nkpt_shape: [5, 2]\n")
    annotations, entries = read(mini)
    assert (len(annotations), entries) == (3, [])


def test_a_line_of_another_length_among_key_points_is_left_out_by_name(mini) -> None:
    labelled(mini, 5, 2, count=40)
    mini.put("labels/07.txt", "0 0.5 0.5 0.2 0.2 0.45 0.5 0.55 0.5\n")
    mini.put("labels/08.txt", "0 0.5 0.5 0.2 0.2\n")
    annotations, entries = read(mini)
    assert sum(len(annotation.boxes) for annotation in annotations) == 39
    [entry] = [entry for entry in entries if entry.left_out]
    assert entry.file == "labels/07.txt"
    assert "10 values of key points" in entry.reason


def test_labels_in_doubt_are_read_as_polygons_with_a_remark(mini) -> None:
    labelled(mini, 5, 2, count=6)
    annotations, entries = read(mini)
    assert sum(len(annotation.boxes) for annotation in annotations) == 6
    [entry] = entries
    assert entry.code == "key_points"
    assert "kpt_shape" in entry.reason


def test_lines_that_cannot_be_read_name_key_points(mini) -> None:
    for i in range(4):
        mini.put(f"images/{i}.jpg", picture_bytes(i))
        mini.put(f"labels/{i}.txt", "0 " + " ".join(["0.5", "0.5", "0.2", "0.2", *["0.5", "0.5", "0.7"] * 17]) + "\n")
    with pytest.raises(
        InvalidInputError, match=r"key points follow a box: if they do, state kpt_shape in a data\.yaml"
    ):
        mini.run()
