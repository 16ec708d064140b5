import pytest

from dropspot.scoring import Box, Detection, mean, score_class

UNIT = Box(0, 0.0, 0.0, 0.5, 0.5)
ELSEWHERE = Box(0, 0.6, 0.6, 0.9, 0.9)


def found(score: float, box: Box = UNIT) -> Detection:
    return Detection(score, box)


def test_overlap_is_intersection_over_union() -> None:
    assert UNIT.overlap(UNIT) == 1.0
    assert UNIT.overlap(ELSEWHERE) == 0.0
    assert UNIT.overlap(Box(0, 0.25, 0.0, 0.75, 0.5)) == pytest.approx(1 / 3)


def test_a_perfect_detector_scores_one() -> None:
    truth = {"a": [UNIT], "b": [ELSEWHERE]}
    score = score_class(0, truth, {"a": [found(0.9)], "b": [found(0.2, ELSEWHERE)]})
    assert (score.boxes, score.ap50, score.ap50_voc07) == (2, 1.0, 1.0)


def test_a_second_detection_of_one_box_is_wrong() -> None:
    # Ranked: right, doubled, right; so precision is 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    truth = {"a": [UNIT, ELSEWHERE]}
    score = score_class(0, truth, {"a": [found(0.9), found(0.8), found(0.7, ELSEWHERE)]})
    assert score.ap50 == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert score.ap50_voc07 == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_a_miss_costs_its_share_of_the_recall() -> None:
    score = score_class(0, {"a": [UNIT], "b": [UNIT]}, {"a": [found(0.9)], "b": []})
    assert score.ap50 == 0.5


def test_detections_rank_over_all_pictures() -> None:
    truth = {"a": [UNIT], "b": []}
    right_first = score_class(0, truth, {"a": [found(0.9)], "b": [found(0.1)]})
    wrong_first = score_class(0, truth, {"a": [found(0.1)], "b": [found(0.9)]})
    assert (right_first.ap50, wrong_first.ap50) == (1.0, 0.5)


def test_difficult_boxes_count_neither_way() -> None:
    difficult = Box(0, 0.6, 0.6, 0.9, 0.9, difficult=True)
    score = score_class(0, {"a": [UNIT, difficult]}, {"a": [found(0.9, ELSEWHERE), found(0.8)]})
    assert (score.boxes, score.ap50) == (1, 1.0)


def test_other_classes_do_not_count() -> None:
    other = Box(1, 0.0, 0.0, 0.5, 0.5)
    assert score_class(0, {"a": [UNIT]}, {"a": [Detection(0.9, other)]}).ap50 == 0.0


def test_a_class_without_boxes_has_no_score() -> None:
    assert score_class(0, {"a": []}, {"a": [found(0.9)]}).ap50 is None
    assert mean([None, 0.5, 1.0]) == 0.75
    assert mean([None]) == 0.0
