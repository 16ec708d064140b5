"""The gate: whether a model may go into service."""

from dataclasses import dataclass

from dropspot.evaluation import Evaluation
from dropspot.plan import Gate

PASSED = "passed"
REFUSED = "refused"
NOT_SERVED = "not_served"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and the rule that decided, in words."""

    status: str
    rule: str


def judge(evaluation: Evaluation, gate: Gate) -> Verdict:
    """Hold the evaluation against the plan's gate."""
    if evaluation.boxes < gate.min_boxes:
        return Verdict(
            REFUSED, f"{evaluation.boxes} held-out boxes are fewer than the {gate.min_boxes} that are needed"
        )
    if evaluation.map50 < gate.min_map50:
        return Verdict(REFUSED, f"mAP@0.5 of {evaluation.map50:.3f} is below the minimum of {gate.min_map50:.3f}")
    return Verdict(PASSED, f"mAP@0.5 of {evaluation.map50:.3f} reaches the minimum of {gate.min_map50:.3f}")
