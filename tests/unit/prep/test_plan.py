from pathlib import Path

import pytest

from dropspot.errors import InvalidInputError
from prep.plan import PreparationPlan, SplitPlan


def test_without_a_plan_the_defaults_hold(tmp_path: Path) -> None:
    assert PreparationPlan.from_file(tmp_path / "plan.json") == PreparationPlan()


def test_a_merged_plan_of_the_pipeline_is_understood() -> None:
    plan = PreparationPlan.from_document(
        {
            "schema": "dropspot/plan/1",
            "classes": {"tabby": "cat", "siamese": "cat"},
            "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 7},
            "output": "recordio",
            "input_mode": "File",
            "shorter_side": 300,
            "hyperparameters": {"epochs": "3"},
            "quarantine": {"max_left_out": 0.05},
        }
    )
    assert plan == PreparationPlan(
        {"tabby": "cat", "siamese": "cat"}, SplitPlan(0.5, 0.25, 0.25, 7), "recordio", 300, 0.05
    )


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "JSON object"),
        ({"schema": "dropspot/plan/9"}, "schema"),
        ({"output": "tfrecord"}, "output"),
        ({"shorter_side": "big"}, "shorter_side"),
        ({"shorter_side": 3}, "shorter_side"),
        ({"shorter_side": 300.5}, "shorter_side"),
        ({"shorter_side": True}, "shorter_side"),
        ({"split": {"train": 0.9}}, "add up to 1"),
        ({"split": {"train": 1.0, "validation": 0.0, "test": 0.0}}, "above 0"),
        ({"split": {"seed": -1}}, "split.seed"),
        ({"split": 3}, "split"),
        ({"quarantine": {"max_left_out": 2}}, "max_left_out"),
        ({"quarantine": {"max_left_out": float("nan")}}, "max_left_out"),
        ({"classes": []}, "classes"),
        ({"classes": ["cat", "cat"]}, "classes"),
        ({"classes": ["cat", 3]}, "classes"),
        ({"classes": "cat"}, "classes"),
        ({"classes": {"cat": ""}}, "classes"),
    ],
)
def test_an_impossible_plan_is_refused_by_the_name_of_its_field(document, complaint) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        PreparationPlan.from_document(document)


def test_a_plan_that_is_not_json_says_so(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{classes: cat}")
    with pytest.raises(InvalidInputError, match="not valid JSON"):
        PreparationPlan.from_file(tmp_path / "plan.json")
