"""Average precision, on numbers worked out by hand."""

import math

import numpy as np

from detector.evaluation import mean_average_precision

TRUTH = np.array([[0, 0.1, 0.1, 0.3, 0.3], [0, 0.5, 0.5, 0.8, 0.8]])


def answer(score: float, box: list[float], class_id: int = 0) -> list[float]:
    return [class_id, score, *box]


def test_perfect_answers_score_one() -> None:
    rows = np.array([answer(0.9, [0.1, 0.1, 0.3, 0.3]), answer(0.8, [0.5, 0.5, 0.8, 0.8])])
    score = mean_average_precision([TRUTH], [rows], 0.5)
    assert score.mean == 1
    assert math.isclose(score.mean_11_points, 1)


def test_hit_miss_hit() -> None:
    rows = np.array(
        [
            answer(0.9, [0.1, 0.1, 0.3, 0.3]),
            answer(0.8, [0.0, 0.8, 0.1, 0.9]),
            answer(0.7, [0.5, 0.5, 0.8, 0.8]),
        ]
    )
    score = mean_average_precision([TRUTH], [rows], 0.5)
    assert math.isclose(score.mean, 0.5 * 1 + 0.5 * 2 / 3)
    assert math.isclose(score.mean_11_points, (6 * 1 + 5 * 2 / 3) / 11)


def test_a_second_answer_for_a_found_box_is_a_miss() -> None:
    rows = np.array([answer(0.9, [0.1, 0.1, 0.3, 0.3]), answer(0.8, [0.1, 0.1, 0.3, 0.3])])
    assert math.isclose(mean_average_precision([TRUTH], [rows], 0.5).mean, 0.5)


def test_the_mean_is_over_classes_and_a_class_never_answered_scores_zero() -> None:
    truth = np.concatenate([TRUTH, [[1, 0.2, 0.6, 0.4, 0.9]]])
    rows = np.array([answer(0.9, [0.1, 0.1, 0.3, 0.3]), answer(0.8, [0.5, 0.5, 0.8, 0.8])])
    score = mean_average_precision([truth], [rows], 0.5)
    assert score.by_class == {0: 1.0, 1: 0.0}
    assert score.mean == 0.5


def test_an_overlap_below_the_threshold_is_a_miss() -> None:
    rows = np.array([answer(0.9, [0.1, 0.1, 0.3, 0.19])])
    assert mean_average_precision([TRUTH[:1]], [rows], 0.5).mean == 0
    assert mean_average_precision([TRUTH[:1]], [rows], 0.4).mean == 1


def test_no_answers_at_all() -> None:
    assert mean_average_precision([TRUTH], [np.zeros((0, 6))], 0.5).mean == 0
