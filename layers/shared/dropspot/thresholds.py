"""From which score on a detection is kept: one number for all classes, or each class's best by the run's evaluation."""

from dropspot import documents
from dropspot.errors import InvalidInputError
from dropspot.ports import ObjectStore
from dropspot.runs import Run

EVALUATED = "evaluated"
FALLBACK = 0.3  # of classes that the evaluation names no threshold for: too few held-out boxes, or no evaluation at all


def global_threshold(setting: str) -> float:
    """Return the number that the setting states, FALLBACK for `evaluated`; InvalidInputError where it is neither."""
    if setting == EVALUATED:
        return FALLBACK
    try:
        return float(setting)
    except ValueError as error:
        raise InvalidInputError(f"the score threshold is a number or {EVALUATED}, not {setting!r}") from error


def class_thresholds(store: ObjectStore, run: Run, setting: str, classes: tuple[str, ...]) -> tuple[float, ...] | None:
    """Return a threshold for each class, in the order of the classes; None where one number is for all."""
    if setting != EVALUATED:
        return None
    evaluation = documents.read_or_none(store, run.key("evaluation", "evaluation.json")) or {"classes": []}
    best = {entry["label"]: entry["best_f1"]["threshold"] for entry in evaluation["classes"] if entry.get("best_f1")}
    return tuple(float(best.get(label, FALLBACK)) for label in classes)
