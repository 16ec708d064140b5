import pytest

from dropspot.evaluation import detections_in, score, truth_in
from dropspot.scoring import Box, Detection

BOX = {"class_id": 1, "xmin": 0.1, "ymin": 0.2, "xmax": 0.3, "ymax": 0.4}


def test_truth_is_read_with_its_difficult_boxes() -> None:
    document = {"images": {"a.jpg": {"width": 10, "boxes": [BOX, BOX | {"difficult": True}]}, "b.jpg": {"boxes": []}}}
    box = Box(1, 0.1, 0.2, 0.3, 0.4)
    assert truth_in(document) == {"a.jpg": [box, Box(1, 0.1, 0.2, 0.3, 0.4, difficult=True)], "b.jpg": []}


def test_a_prediction_is_read_in_the_built_ins_order_of_columns() -> None:
    assert detections_in({"prediction": [[1.0, 0.9, 0.1, 0.2, 0.3, 0.4]]}) == [
        Detection(0.9, Box(1, 0.1, 0.2, 0.3, 0.4))
    ]


@pytest.mark.parametrize("answer", [{}, {"prediction": [[1, 2]]}, {"prediction": 3}, {"prediction": [["x"] * 6]}, []])
def test_what_is_no_prediction_is_an_error(answer: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        detections_in(answer)  # type: ignore[arg-type]


def test_a_class_without_a_held_out_box_has_no_score_and_no_part_in_the_mean() -> None:
    box = Box(1, 0.1, 0.2, 0.3, 0.4)
    evaluation = score(["absent", "found"], {"a.jpg": [box]}, {"a.jpg": [Detection(0.5, box)]})
    assert evaluation.map50 == evaluation.map50_voc07 == 1.0
    assert [(one["name"], one["boxes"], one["ap50"]) for one in evaluation.document["classes"]] == [
        ("absent", 0, None),
        ("found", 1, 1.0),
    ]
