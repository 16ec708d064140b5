import pytest

from dropspot.scoring import Box, Curve, Detection, mean, overlap, scenes_by_class

UNIT = Box(0, 0, 0, 50, 50)
ELSEWHERE = Box(0, 60, 60, 90, 90)


def found(score: float, box: Box = UNIT) -> Detection:
    return Detection(score, *box[:5])


def curve(truth: dict[str, list[Box]], detections: dict[str, list[Detection]], class_id: int = 0) -> Curve:
    return Curve.of(scenes_by_class(truth, detections)[class_id])


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(UNIT, UNIT) == 1.0
    assert overlap(UNIT, ELSEWHERE) == 0.0
    assert overlap(UNIT, Box(0, 25, 0, 75, 50)) == pytest.approx(1 / 3)


def test_a_perfect_detector_scores_one() -> None:
    score = curve({"a": [UNIT], "b": [ELSEWHERE]}, {"a": [found(0.9)], "b": [found(0.2, ELSEWHERE)]})
    assert (score.boxes, score.ap, score.ap_voc07) == (2, 1.0, 1.0)


def test_a_second_detection_of_one_box_is_wrong() -> None:
    # Ranked: right, doubled, right; so precision is 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    score = curve({"a": [UNIT, ELSEWHERE]}, {"a": [found(0.9), found(0.8), found(0.7, ELSEWHERE)]})
    assert score.ap == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert score.ap_voc07 == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_a_miss_costs_its_share_of_the_recall() -> None:
    assert curve({"a": [UNIT], "b": [UNIT]}, {"a": [found(0.9)], "b": []}).ap == 0.5


def test_detections_rank_over_all_pictures() -> None:
    truth = {"a": [UNIT], "b": []}
    assert curve(truth, {"a": [found(0.9)], "b": [found(0.1)]}).ap == 1.0
    assert curve(truth, {"a": [found(0.1)], "b": [found(0.9)]}).ap == 0.5


def test_difficult_boxes_count_neither_way() -> None:
    difficult = ELSEWHERE._replace(difficult=True)
    score = curve({"a": [UNIT, difficult]}, {"a": [found(0.9, ELSEWHERE), found(0.8)]})
    assert (score.boxes, score.ap) == (1, 1.0)


def test_other_classes_do_not_count() -> None:
    assert curve({"a": [UNIT]}, {"a": [found(0.9, UNIT._replace(class_id=1))]}).ap == 0.0


def test_what_is_found_in_a_picture_without_truth_does_not_count() -> None:
    assert curve({"a": [UNIT]}, {"a": [found(0.5)], "other": [found(0.9)]}).ap == 1.0


def test_a_class_without_boxes_has_no_score() -> None:
    score = curve({"a": []}, {"a": [found(0.9)]})
    assert (score.ap, score.ap_voc07, score.best, score.points) == (None, None, None, [])
    assert mean([None, 0.5, 1.0]) == 0.75
    assert mean([None]) is None


def test_the_best_threshold_is_the_score_from_which_f1_is_highest() -> None:
    # Right at 0.9, wrong at 0.8, right at 0.7, wrong at 0.1.
    truth = {"a": [UNIT, ELSEWHERE]}
    detections = {"a": [found(0.9), found(0.8), found(0.7, ELSEWHERE), found(0.1)]}
    best = curve(truth, detections).best
    assert best is not None
    assert (best.threshold, best.precision, best.recall) == (0.7, 2 / 3, 1.0)
    assert best.f1 == pytest.approx(2 * best.precision * best.recall / (best.precision + best.recall))


def test_a_threshold_does_not_part_equal_scores() -> None:
    best = curve({"a": [UNIT]}, {"a": [found(0.5), found(0.5, ELSEWHERE)]}).best
    assert best is not None
    assert (best.threshold, best.precision, best.recall) == (0.5, 0.5, 1.0)


def test_of_two_equal_thresholds_the_higher_is_best() -> None:
    # F1 is 2/3 after the first and after the fourth.
    truth = {"a": [UNIT], "b": [UNIT]}
    detections = {"a": [found(0.9), found(0.8)], "b": [found(0.7, ELSEWHERE), found(0.6)]}
    best = curve(truth, detections).best
    assert best is not None
    assert (best.threshold, best.f1) == (0.9, pytest.approx(2 / 3))


def test_nothing_right_has_no_best_threshold() -> None:
    assert curve({"a": [UNIT]}, {"a": [found(0.9, ELSEWHERE)]}).best is None


def test_a_curve_goes_as_far_as_its_recall() -> None:
    points = curve({"a": [UNIT], "b": [UNIT]}, {"a": [found(0.9)], "b": [found(0.8, ELSEWHERE)]}).points
    assert points == [(1.0, 0.9)] * 51
