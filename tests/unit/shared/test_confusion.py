"""What a picture's boxes were taken for."""

from dropspot.confusion import confusion, outcome
from dropspot.scoring import Box, Detection

CAT, DOG = Box(0, 0, 0, 50, 50), Box(1, 60, 60, 90, 90)
THRESHOLDS = (0.5, 0.5)


def seen(box: Box, class_id: int | None = None, score: float = 0.9) -> Detection:
    return Detection(score, box.class_id if class_id is None else class_id, *box[1:5])


def cells(boxes: list[Box], detections: list[Detection]) -> dict[tuple[int | None, int | None], int]:
    return dict(confusion({"a": outcome(boxes, detections, THRESHOLDS)}))


def test_found_confused_missed_and_invented_are_told_apart() -> None:
    assert cells([CAT], [seen(CAT)]) == {(0, 0): 1}
    assert cells([CAT], [seen(CAT, 1)]) == {(0, 1): 1}
    assert cells([CAT], []) == {(0, None): 1}
    assert cells([], [seen(CAT)]) == {(None, 0): 1}
    assert cells([CAT], [seen(DOG)]) == {(0, None): 1, (None, 1): 1}


def test_detections_below_their_class_s_threshold_are_not_seen() -> None:
    assert cells([CAT], [seen(CAT, score=0.49)]) == {(0, None): 1}


def test_a_box_that_was_also_found_right_is_no_confusion() -> None:
    assert cells([CAT], [seen(CAT, 1, 0.99), seen(CAT._replace(xmax=45))]) == {(0, 0): 1, (None, 1): 1}


def test_of_several_right_ones_the_one_that_overlaps_most_counts() -> None:
    one = outcome([CAT], [seen(CAT._replace(xmax=40), score=0.99), seen(CAT)], THRESHOLDS)
    assert one.pairs == ((CAT, seen(CAT)),)
    assert one.invented == (seen(CAT._replace(xmax=40), score=0.99),)


def test_difficult_boxes_are_left_out_found_or_not() -> None:
    difficult = CAT._replace(difficult=True)
    assert cells([difficult], []) == {}
    assert cells([difficult], [seen(CAT), seen(CAT, 1)]) == {}
    assert cells([difficult, CAT], [seen(CAT)]) == {(0, 0): 1}


def test_the_worst_picture_is_that_with_most_mistakes() -> None:
    right = outcome([CAT, DOG], [seen(CAT), seen(DOG)], THRESHOLDS)
    invented = outcome([CAT], [seen(CAT), seen(DOG, score=0.6)], THRESHOLDS)
    missed = outcome([CAT, DOG], [seen(CAT)], THRESHOLDS)
    confused = outcome([CAT, DOG], [seen(CAT, 1)], THRESHOLDS)
    assert right.severity < invented.severity < missed.severity < confused.severity
