import json

import pytest

from dropspot.evaluation import HeldOutPicture, detections_in, score, truth_in
from dropspot.scoring import Box, Detection

BOX = {"class_id": 1, "xmin": 0.1, "ymin": 0.2, "xmax": 0.3, "ymax": 0.4}
EMPTY = HeldOutPicture(100, 100, ())


def pictures(*boxes: Box) -> dict[str, HeldOutPicture]:
    return {"a.jpg": HeldOutPicture(100, 100, boxes)}


def test_truth_is_read_in_pixels_with_its_difficult_boxes() -> None:
    picture = {"width": 200, "height": 50, "boxes": [BOX, BOX | {"difficult": True}]}
    document = {"images": {"a.jpg": picture, "b.jpg": {"width": 1, "height": 1, "boxes": []}}}
    box = Box(1, 20, 10, 60, 20)
    assert truth_in(document) == {
        "a.jpg": HeldOutPicture(200, 50, (box, box._replace(difficult=True))),
        "b.jpg": HeldOutPicture(1, 1, ()),
    }


def test_whole_pixels_are_whole_again_after_fractions() -> None:
    for width in range(1, 700, 7):
        picture = {"width": width, "height": 3, "boxes": [BOX | {"xmax": x / width} for x in range(width + 1)]}
        [read] = truth_in({"images": {"a.jpg": picture}}).values()
        assert [box.xmax for box in read.boxes] == list(range(width + 1))


def test_a_prediction_is_read_in_the_built_ins_order_of_columns() -> None:
    assert detections_in({"prediction": [[1.0, 0.9, 0.1, 0.2, 0.3, 0.4]]}, EMPTY) == [Detection(0.9, 1, 10, 20, 30, 40)]


@pytest.mark.parametrize("answer", [{}, {"prediction": [[1, 2]]}, {"prediction": 3}, {"prediction": [["x"] * 6]}, []])
def test_what_is_no_prediction_is_an_error(answer: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        detections_in(answer, EMPTY)  # type: ignore[arg-type]


def test_a_class_without_a_held_out_box_has_no_score_and_no_part_in_the_mean() -> None:
    box = Box(1, 10, 10, 60, 60)
    evaluation = score(["absent", "found"], pictures(box), {"a.jpg": [Detection(0.5, *box[:5])]})
    assert evaluation.map50 == evaluation.map50_voc07 == evaluation.coco() == pytest.approx(1.0)
    absent, found = evaluation.document["classes"]
    assert (absent["label"], absent["boxes"], absent["ap50"], absent["ap"], absent["best_f1"]) == (
        "absent", 0, None, None, None,
    )  # fmt: skip
    assert (found["label"], found["boxes"], found["ap50"]) == ("found", 1, 1.0)
    assert found["best_f1"] == {"threshold": 0.5, "f1": 1.0, "precision": 1.0, "recall": 1.0}


def test_a_detection_of_an_unknown_class_is_left_out() -> None:
    box = Box(0, 10, 10, 60, 60)
    detections = {"a.jpg": [Detection(0.9, 7, 0, 0, 5, 5), Detection(0.9, -1, 0, 0, 5, 5), Detection(0.5, *box[:5])]}
    evaluation = score(["only"], pictures(box), detections)
    assert evaluation.map50 == 1.0
    assert sum(evaluation.confusion.values()) == 1


def test_sizes_are_by_the_area_of_the_upright_picture() -> None:
    small, medium, large = Box(0, 0, 0, 32, 31), Box(0, 0, 40, 90, 90), Box(0, 0, 0, 99, 98)
    document = score(["only"], pictures(small, medium, large), {}).document
    assert {size: one["boxes"] for size, one in document["sizes"].items()} == {"small": 1, "medium": 1, "large": 1}
    assert document["classes"][0]["sizes"]["medium"] == {"boxes": 1, "ap": 0.0}


def test_the_document_is_json_whatever_was_there_to_measure() -> None:
    for boxes in ((), (Box(0, 0, 0, 9, 9),)):
        document = json.loads(json.dumps(score(["only"], pictures(*boxes), {}).document, allow_nan=False))
        assert document["map50"] == 0.0
        assert document["coco"]["map"] == (0.0 if boxes else None)
