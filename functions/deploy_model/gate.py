"""The gate: whether a model may go into service. Every rule is measured and written down, passed or not."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from comparison import Comparison
from dropspot.plan import Gate

_HAIR = 1e-9  # an AP is a sum of fractions: one that should be the limit may be a last digit below it

PASSED = "passed"
REFUSED = "refused"
NOT_SERVED = "not_served"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and the rule that decided, in words."""

    status: str
    rule: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule held against what was measured: of all classes, or of the one that `label` names.

    `value` and `limit` are a count for min_boxes, an AP@0.5 otherwise; `says` is the rule in words, as it turned out.
    """

    name: str
    label: str
    value: float
    limit: float
    passed: bool
    says: str


def judge(evaluation: Mapping[str, Any], gate: Gate, comparison: Comparison | None) -> list[Rule]:
    """Hold the evaluation (the document) against the plan's gate; the first rule that isn't passed decides."""
    return [
        _least_boxes(evaluation["boxes"], gate.min_boxes),
        _least_map(evaluation["map50"], gate.min_map50),
        *_least_of_classes(evaluation, gate.min_class_ap50),
        *(_drops(evaluation, comparison, gate.max_class_drop) if comparison else ()),
    ]


def verdict_of(rules: list[Rule]) -> Verdict:
    """Return what the rules come to; where all are passed, the mean's stands for them."""
    failed = next((rule for rule in rules if not rule.passed), None)
    if failed:
        return Verdict(REFUSED, failed.says)
    return Verdict(PASSED, next(rule.says for rule in rules if rule.name == "min_map50"))


def rule_documents(rules: list[Rule]) -> list[dict[str, Any]]:
    """Return the rules as verdict.json keeps them."""
    return [asdict(rule) for rule in rules]


def _least_boxes(boxes: int, limit: int) -> Rule:
    passed = boxes >= limit
    relation = "are as many as" if passed else "are fewer than"
    return Rule("min_boxes", "", boxes, limit, passed, f"{boxes} held-out boxes {relation} the {limit} that are needed")


def _reaches(value: float, limit: float) -> bool:
    return value >= limit - _HAIR


def _least_map(value: float, limit: float) -> Rule:
    passed = _reaches(value, limit)
    relation = "reaches" if passed else "is below"
    return Rule("min_map50", "", value, limit, passed, f"mAP@0.5 of {value:.3f} {relation} the minimum of {limit:.3f}")


def _least_of_classes(evaluation: Mapping[str, Any], limit: float) -> Iterator[Rule]:
    for one in evaluation["classes"]:
        label, value = one["label"], one["ap50"]
        if value is not None:  # a class without held-out boxes can't be measured
            passed = _reaches(value, limit)
            relation = "reaches" if passed else "is below"
            says = f"AP@0.5 of {value:.3f} for {label} {relation} the minimum of {limit:.3f} for a class"
            yield Rule("min_class_ap50", label, value, limit, passed, says)


def _drops(evaluation: Mapping[str, Any], comparison: Comparison, tolerance: float) -> Iterator[Rule]:
    for one in evaluation["classes"]:
        label, value = one["label"], one["ap50"]
        champion = comparison.ap50.get(label)
        if value is not None and champion is not None:
            limit = max(0.0, champion - tolerance)
            passed = _reaches(value, limit)
            relation = "is no more than" if passed else "is more than"
            says = (
                f"AP@0.5 of {value:.3f} for {label} {relation} {tolerance:.3f} below the {champion:.3f} of "
                f"{comparison.run_id}, which is in service"
            )
            yield Rule("max_class_drop", label, value, limit, passed, says)
