"""The gate: every rule on its own, which one decides, and what is not compared."""

from typing import Any

import pytest

from comparison import Comparison
from dropspot.plan import Gate
from gate import PASSED, REFUSED, judge, rule_documents, verdict_of


def evaluation(**ap50: float | None) -> dict[str, Any]:
    known = [value for value in ap50.values() if value is not None]
    classes = [{"label": label, "ap50": value} for label, value in ap50.items()]
    return {"boxes": 30, "map50": sum(known) / len(known), "classes": classes}


def champion(*, candidate: tuple[str, ...] = ("cat", "dog"), **ap50: float | None) -> Comparison:
    return Comparison("pets-0123456789", "same_pictures", "", evaluation(**ap50), candidate, tuple(ap50))


def test_a_model_that_breaks_no_rule_passes_by_its_mean() -> None:
    rules = judge(evaluation(cat=0.9, dog=0.7), Gate(), None)
    assert verdict_of(rules).status == PASSED
    assert verdict_of(rules).rule == "mAP@0.5 of 0.800 reaches the minimum of 0.500"
    assert all(rule.passed for rule in rules)


@pytest.mark.parametrize(
    ("gate", "decides", "said"),
    [
        (Gate(min_boxes=31), "min_boxes", "30 held-out boxes are fewer than the 31 that are needed"),
        (Gate(min_map50=0.81), "min_map50", "mAP@0.5 of 0.800 is below the minimum of 0.810"),
        (Gate(min_class_ap50=0.75), "min_class_ap50",
         "AP@0.5 of 0.700 for dog is below the minimum of 0.750 for a class"),
        (Gate(max_class_drop=0.15), "max_class_drop",
         "AP@0.5 of 0.700 for dog is more than 0.150 below the 0.900 of pets-0123456789, which is in service"),
    ],
)  # fmt: skip
def test_one_rule_that_is_broken_refuses_the_model_and_says_so(gate: Gate, decides: str, said: str) -> None:
    rules = judge(evaluation(cat=0.9, dog=0.7), gate, champion(cat=0.9, dog=0.9) if "drop" in decides else None)
    assert [rule.name for rule in rules if not rule.passed] == [decides]
    assert verdict_of(rules).status == REFUSED
    assert verdict_of(rules).rule == said


def test_a_drop_of_exactly_what_is_allowed_passes() -> None:
    for found in range(10, 101):
        rules = judge(
            evaluation(cat=(found - 10) / 100), Gate(min_map50=0, max_class_drop=0.1), champion(cat=found / 100)
        )
        assert all(rule.passed for rule in rules), found


def test_the_first_broken_rule_decides_and_every_rule_is_written_down() -> None:
    gate = Gate(min_boxes=50, min_map50=0.9, min_class_ap50=0.8, max_class_drop=0.0)
    rules = judge(evaluation(cat=0.9, dog=0.7), gate, champion(cat=0.95, dog=0.6))
    assert "50 that are needed" in verdict_of(rules).rule
    fields = ("name", "label", "value", "limit", "passed")
    assert [tuple(rule[field] for field in fields) for rule in rule_documents(rules)] == [
        ("min_boxes", "", 30, 50, False),
        ("min_map50", "", 0.8, 0.9, False),
        ("min_class_ap50", "cat", 0.9, 0.8, True),
        ("min_class_ap50", "dog", 0.7, 0.8, False),
        ("max_class_drop", "cat", 0.9, 0.95, False),
        ("max_class_drop", "dog", 0.7, 0.6, True),
    ]  # fmt: skip


def test_exactly_at_the_limit_is_enough() -> None:
    gate = Gate(min_boxes=30, min_map50=0.75, min_class_ap50=0.5, max_class_drop=0.25)
    assert verdict_of(judge(evaluation(cat=1.0, dog=0.5), gate, champion(cat=1.0, dog=0.75))).status == PASSED


@pytest.mark.parametrize("side", ["candidate", "champion"])
def test_a_class_without_held_out_boxes_is_neither_measured_nor_compared(side: str) -> None:
    ours, theirs = {"cat": 0.9, "dog": 0.9}, {"cat": 0.9, "dog": 0.9}
    unmeasured: dict[str, Any] = (ours if side == "candidate" else theirs) | {"dog": None}
    pair = (unmeasured, theirs) if side == "candidate" else (ours, unmeasured)
    rules = judge(evaluation(**pair[0]), Gate(min_class_ap50=0.5), champion(**pair[1]))
    assert [rule.label for rule in rules if rule.name == "max_class_drop"] == ["cat"]


def test_classes_that_only_one_side_knows_are_listed_and_not_compared() -> None:
    rival = champion(candidate=("cat", "bird"), cat=0.9, dog=1.0)
    measured = evaluation(cat=0.9, bird=0.1)
    rules = judge(measured, Gate(), rival)
    assert [rule.label for rule in rules if rule.name == "max_class_drop"] == ["cat"]
    assert rival.summary(measured)["classes_not_compared"] == {
        "candidate_only": ["bird"],
        "champion_only": ["dog"],
        "without_held_out_box": [],
    }
