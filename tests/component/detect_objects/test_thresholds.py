"""Which detections a document keeps: by one number, or by each class's best threshold of the run's evaluation."""

from typing import Any

import pytest
from image_pipeline import RUN, Pipeline, picture, settings

from dropspot.errors import InvalidInputError
from dropspot.testing import memory_services
from dropspot.thresholds import FALLBACK, global_threshold

ROWS = [[0, 0.6, 0, 0, 0.5, 0.5], [0, 0.4, 0, 0, 1, 1], [1, 0.6, 0, 0, 0.5, 0.5], [1, 0.2, 0, 0, 1, 1]]


def kept(pipeline: Pipeline) -> list[tuple[str, float]]:
    pipeline.serve(RUN, lambda image: ROWS)
    assert pipeline.handle(pipeline.upload(picture())) == []
    return [(found["label"], found["score"]) for found in pipeline.document()["detections"]]


def evaluated(*classes: dict[str, Any]) -> Pipeline:
    pipeline = Pipeline(memory_services(settings("evaluated")))
    if classes:
        pipeline.store.put_json(RUN.key("evaluation", "evaluation.json"), {"classes": list(classes)})
    return pipeline


def test_each_class_has_the_threshold_that_its_evaluation_found_best() -> None:
    cat = {"label": "cat", "best_f1": {"threshold": 0.45, "f1": 0.9, "precision": 0.9, "recall": 0.9}}
    dog = {"label": "dog", "best_f1": {"threshold": 0.15, "f1": 0.9, "precision": 0.9, "recall": 0.9}}
    pipeline = evaluated(dog, cat)
    assert kept(pipeline) == [("cat", 0.6), ("dog", 0.6), ("dog", 0.2)]
    assert pipeline.document()["model"]["class_thresholds"] == [0.45, 0.15]


@pytest.mark.parametrize("dog", [{"label": "dog", "best_f1": None}, {"label": "dog"}, {"label": "bird"}])
def test_a_class_without_one_has_the_fall_back(dog: dict[str, Any]) -> None:
    pipeline = evaluated({"label": "cat", "best_f1": {"threshold": 0.5}}, dog)
    assert kept(pipeline) == [("cat", 0.6), ("dog", 0.6)]
    assert pipeline.document()["model"]["class_thresholds"] == [0.5, FALLBACK]


def test_a_run_without_an_evaluation_has_the_fall_back_for_all() -> None:
    pipeline = evaluated()
    assert kept(pipeline) == [("cat", 0.6), ("dog", 0.6), ("cat", 0.4)]
    assert pipeline.document()["model"]["class_thresholds"] == [FALLBACK, FALLBACK]
    assert pipeline.document()["model"]["score_threshold"] == FALLBACK


def test_one_number_is_for_all_classes(pipeline: Pipeline) -> None:
    assert kept(pipeline) == [("cat", 0.6), ("dog", 0.6)]
    assert pipeline.document()["model"]["class_thresholds"] is None


def test_a_setting_that_is_neither_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="high"):
        global_threshold("high")
