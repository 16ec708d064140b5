import io
import re
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from dropspot_cli.metric_lines import Epoch
from dropspot_cli.training_curve import curve
from dropspot_cli.training_display import Pace, TrainingDisplay

SVG = "{http://www.w3.org/2000/svg}"


def test_nobody_knows_how_long_it_will_take_before_anything_is_done() -> None:
    assert Pace(begun=0).seconds_left(now=10) is None


def test_the_first_mark_counts_from_the_beginning() -> None:
    pace = Pace(begun=0)
    pace.mark(30, 0.25)
    assert pace.seconds_left(30) == pytest.approx(90)
    assert pace.seconds_left(50) == pytest.approx(70)


def test_later_marks_leave_the_loading_out() -> None:
    pace = Pace(begun=0)
    for now, part in ((100, 0.25), (110, 0.5), (120, 0.75)):
        pace.mark(now, part)
    assert pace.seconds_left(120) == pytest.approx(10)


def test_a_slow_last_epoch_leaves_no_negative_time() -> None:
    pace = Pace(begun=0)
    pace.mark(10, 0.5)
    assert pace.seconds_left(100) == 0


def test_a_resumed_training_that_is_done_at_once_divides_by_nothing() -> None:
    pace = Pace(begun=5)
    pace.mark(5, 0.0)
    assert pace.seconds_left(5) is None


def test_a_terminal_shows_epoch_loss_score_and_the_time_left() -> None:
    shown = io.StringIO()
    screen = Console(file=shown, width=160, force_terminal=True)
    clock = iter(range(0, 10_000, 10))
    with TrainingDisplay(screen, 20, clock=lambda: float(next(clock))) as display:
        display.feed("#quality_metric: host=algo-1, epoch=4, batch=7 train smooth_l1 <loss>=0.5")
        display.feed("#quality_metric: host=algo-1, epoch=4, batch=7 train cross_entropy <loss>=1.25")
        display.feed("#quality_metric: host=algo-1, epoch=4, validation mAP <score>=(0.75)")
        display.feed("#progress_metric: host=algo-1, completed 25 %")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    assert "epoch  5/20   loss 1.750   validation mAP 0.750" in plain
    assert re.search(r"about \d+ s left", plain)
    assert display.epochs == [Epoch(4, 1.75, 0.75)]


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter(f"{SVG}text")]


def points(picture: str) -> list[list[tuple[float, float]]]:
    lines = [line.attrib["points"].split() for line in ET.fromstring(picture).iter(f"{SVG}polyline")]
    return [[(float(point.split(",")[0]), float(point.split(",")[1])) for point in line] for line in lines]


def test_the_curve_has_both_figures_over_labelled_axes() -> None:
    picture = curve([Epoch(0, 4.0, 0.0), Epoch(1, 2.0, 0.5), Epoch(2, 1.0, 1.0)], best_epoch=2)
    losses, scores = points(picture)
    assert [len(losses), len(scores)] == [3, 3]
    assert losses[0][1] < losses[1][1] < losses[2][1]  # falls: SVG counts downwards
    assert scores[0][1] - scores[1][1] == pytest.approx(scores[1][1] - scores[2][1], abs=0.2)
    assert losses[1][0] - losses[0][0] == pytest.approx(losses[2][0] - losses[1][0], abs=0.2)
    said = texts(picture)
    assert said.count("epoch") == 2
    assert {"cross-entropy + smooth L1 (no unit)", "mean average precision (0 to 1)", "Validation mAP@0.5"} <= set(said)
    assert "○ the model: epoch 3, 1.000" in said


def test_every_point_lies_in_the_picture() -> None:
    epochs = [Epoch(number, 1000 / (number + 1), number / 100) for number in range(100)]
    for line in points(curve(epochs, best_epoch=99)):
        assert all(0 < x < 760 and 0 < y < 600 for x, y in line)


def test_the_curve_needs_nothing_from_elsewhere_and_suits_light_and_dark() -> None:
    picture = curve([Epoch(0, 1.0, 0.5)], best_epoch=0)
    assert "prefers-color-scheme: dark" in picture
    assert not re.search(r"(href|src|url\(|@import|<script)", picture)


@pytest.mark.parametrize(
    "epochs",
    [
        [],
        [Epoch(0, None, 0.5)],
        [Epoch(0, float("nan"), 0.1), Epoch(1, float("inf"), 0.2)],
        [Epoch(0, 0.0, 0.0)],
        [Epoch(7, 1e-12, 0.3), Epoch(8, 1e-12, 0.3)],
    ],
)
def test_odd_trainings_have_a_picture_of_real_numbers(epochs: list[Epoch]) -> None:
    picture = curve(epochs, best_epoch=0, overlap=0.75)
    assert not re.search(r"\b(nan|inf)\b", picture)
    assert "Validation mAP@0.75" in texts(picture)


def test_a_training_without_an_epoch_says_so() -> None:
    assert texts(curve([], best_epoch=0)).count("no epoch was finished") == 2
