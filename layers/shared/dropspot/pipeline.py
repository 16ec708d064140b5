"""The road of a run: its steps in order, each with its kind of job and the command that its completion leads to."""

from dataclasses import dataclass

from dropspot.ports import JobKind

STEP_DUE = "Step Due"


@dataclass(frozen=True, slots=True)
class Step:
    """One job of the road; `next_command` is the function that takes over when it has completed."""

    name: str
    kind: JobKind
    next_command: str


STEPS = {
    step.name: step
    for step in (
        Step("prep", JobKind.PROCESSING, "start_training"),
        Step("train", JobKind.TRAINING, "start_evaluation"),
        Step("eval", JobKind.TRANSFORM, "deploy_model"),
    )
}
