import json
from typing import Any

import pytest

from dropspot.errors import InvalidInputError
from dropspot.plan_fields import Fields
from dropspot.preparation_plan import BoxRules, PreparationPlan, Split


def plan_of(document: Any) -> PreparationPlan:
    return PreparationPlan.take(Fields(document, "training.json"))


def test_an_empty_plan_is_all_defaults() -> None:
    assert plan_of({}) == PreparationPlan()


def test_every_field_is_taken_and_survives_its_document() -> None:
    plan = plan_of(
        {
            "classes": {"tabby": "cat", "siamese": "cat"},
            "layout": "coco",
            "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 7, "lists": "ignore"},
            "boxes": {
                "units": "percent",
                "first_pixel": "1",
                "difficult": "drop",
                "truncated": "drop",
                "crowd": "keep",
            },
            "output": "image",
            "shorter_side": 300,
            "quarantine": {"max_left_out": 0.05},
            "hyperparameters": {"epochs": "3"},  # for a later step
        }
    )
    assert plan == PreparationPlan(
        {"tabby": "cat", "siamese": "cat"},
        "coco",
        Split(0.5, 0.25, 0.25, 7, "ignore"),
        BoxRules("percent", "1", "drop", "drop", "keep"),
        "image",
        300,
        0.05,
    )
    assert PreparationPlan.from_document(json.loads(json.dumps(plan.document))) == plan


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (None, None),
        (["cat"], {"cat": "cat"}),
        ({"tabby": "cat"}, {"tabby": "cat"}),
        ("breed", None),
        ("species", None),
    ],
)
def test_the_names_to_train_follow_from_the_classes(classes: Any, names: Any) -> None:
    assert plan_of({"classes": classes}).class_names == names


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "JSON object"),
        ({"output": "tfrecord"}, "output"),
        ({"layout": "kitti"}, "layout"),
        ({"shorter_side": "big"}, "shorter_side"),
        ({"shorter_side": 3}, "shorter_side"),
        ({"shorter_side": 300.5}, "shorter_side"),
        ({"shorter_side": True}, "shorter_side"),
        ({"split": {"train": 0.9}}, "add up to 1"),
        ({"split": {"train": 1.0, "validation": 0.0, "test": 0.0}}, "above 0"),
        ({"split": {"seed": -1}}, "split: seed"),
        ({"split": {"lists": True}}, "split: lists"),
        ({"split": {"trane": 0.5}}, "split: trane is no field"),
        ({"split": 3}, "split"),
        ({"boxes": {"units": "inches"}}, "boxes: units"),
        ({"boxes": {"first_pixel": 1}}, "boxes: first_pixel"),
        ({"boxes": {"crowd": "maybe"}}, "boxes: crowd"),
        ({"boxes": {"hard": "drop"}}, "boxes: hard is no field"),
        ({"quarantine": {"max_left_out": 2}}, "max_left_out"),
        ({"quarantine": {"max_left_out": float("nan")}}, "max_left_out"),
        ({"quarantine": {"max": 2}}, "quarantine: max is no field"),
        ({"classes": []}, "classes"),
        ({"classes": ["cat", "cat"]}, "classes names a class twice"),
        ({"classes": ["cat", 3]}, "classes"),
        ({"classes": "cat"}, "classes"),
        ({"classes": {"cat": ""}}, "classes"),
        ({"classes": {}}, "classes"),
    ],
)
def test_an_impossible_plan_is_refused_by_the_name_of_its_field(document: Any, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        plan_of(document)
