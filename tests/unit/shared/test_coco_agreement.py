"""The scorer against pycocotools, to a millionth."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.cocoeval import Params
from unit.shared.coco_oracle import area_under_curve, average_precision, coco_evaluation
from unit.shared.scored_scenes import Scenes, annotated, answered, generated

from dropspot.coco_scoring import OVERLAPS, RECALLS, SIZES
from dropspot.evaluation import score

CLOSE = 1e-6
DATASETS = Path(os.environ.get("DROPSPOT_DATASETS", "absent"))


def assert_agreement(classes: int, scenes: Scenes, *, by_voc_rule: bool = False) -> None:
    """Hold every COCO measure against pycocotools; `by_voc_rule` the area under the curve too.

    That rests on VOC's rule, which is COCO's where no two boxes of a class overlap and none is difficult.
    """
    truth, found = scenes
    ours, reference = score([f"c{n}" for n in range(classes)], truth, found), coco_evaluation(classes, truth, found)
    for position, size in enumerate(SIZES):
        assert ours.coco(size) == pytest.approx(average_precision(reference, None, position), abs=CLOSE)
        for one in ours.classes:
            assert one.coco[size].ap == pytest.approx(average_precision(reference, one.class_id, position), abs=CLOSE)
    for position, threshold in enumerate(OVERLAPS):
        expected = average_precision(reference, None, 0, position)
        assert ours.coco(threshold=threshold) == pytest.approx(expected, abs=CLOSE)
    for one in ours.classes if by_voc_rule else ():
        assert one.curve.ap == pytest.approx(area_under_curve(reference, one.class_id), abs=CLOSE)


def test_thresholds_and_limits_are_cocos_bit_for_bit() -> None:
    parameters = Params("bbox")
    assert list(OVERLAPS) == list(parameters.iouThrs)
    assert list(RECALLS) == list(parameters.recThrs)
    assert [list(limits) for limits in SIZES.values()] == parameters.areaRng
    assert list(SIZES) == parameters.areaRngLbl


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("classes", "pictures", "detections"), [(1, 60, 150), (3, 120, 60), (7, 150, 40)])
def test_thousands_of_crowded_boxes_with_equal_scores(
    classes: int, pictures: int, detections: int, whole: bool
) -> None:
    scenes = generated(classes, pictures=pictures, classes=classes, detections=detections, whole=whole)
    assert sum(map(len, scenes[1].values())) > 5000
    assert_agreement(classes, scenes)


@given(seed=st.integers(0, 10**9), classes=st.integers(1, 4), detections=st.integers(0, 12), whole=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_few_boxes(seed: int, classes: int, detections: int, whole: bool) -> None:
    assert_agreement(classes, generated(seed, pictures=6, classes=classes, detections=detections, whole=whole))


def test_the_area_under_the_curve_where_boxes_lie_apart() -> None:
    truth, found = generated(1, pictures=200, classes=3, detections=30, crowded=False)
    plain = {
        name: picture.__class__(
            picture.width, picture.height, tuple(b._replace(difficult=False) for b in picture.boxes)
        )
        for name, picture in truth.items()
    }
    assert_agreement(3, (plain, found), by_voc_rule=True)


def breed(_: str, file: str) -> str:
    return file.rpartition("_")[0]


@pytest.mark.parametrize(
    ("archive", "label", "classes"),
    [("oxford-pets-sample/annotations.tar.gz", breed, 3), ("bccd/bccd.tar.gz", lambda name, _: name, 3)],
)
def test_real_boxes_with_answers_a_little_off(archive: str, label: Callable[[str, str], str], classes: int) -> None:
    if not (DATASETS / archive).exists():
        pytest.skip(f"DROPSPOT_DATASETS has no {archive}")
    labels, truth = annotated(DATASETS / archive, label)
    assert len(labels) == classes
    for seed in range(3):
        assert_agreement(classes, (truth, answered(seed, truth, classes, detections=20)))
