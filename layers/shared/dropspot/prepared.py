"""What preparation says of its outputs, and the hyperparameters that follow from it and from the plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropspot import hyperparameters
from dropspot.plan import DETECTOR, TrainingPlan


@dataclass(frozen=True, slots=True)
class Prepared:
    """What training must know of the prepared data.

    `label_width` counts floats per picture; `output` is what the data were written as, one of the plan's outputs.
    `max_boxes` is what the fullest picture has, `digest` stands for the pictures with their boxes (empty: not told).
    """

    classes: int
    samples: int
    label_width: int
    output: str = "recordio"
    max_boxes: int = 0
    digest: str = ""

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> "Prepared":
        """Take them from report.json; one that names no output is of a time when there was only RecordIO."""
        return cls(
            len(report["classes"]),
            report["num_training_samples"],
            report["label_width"],
            report.get("output", "recordio"),
            max((side["max_boxes"] for side in report.get("splits", {}).values()), default=0),
            report.get("digest", ""),
        )


def hyperparameters_for(plan: TrainingPlan, prepared: Prepared, algorithm: str) -> dict[str, str]:
    """Return the hyperparameters as SageMaker sends them: the plan over the recipe, and what the data decides."""
    chosen = hyperparameters.over_recipe(plan.hyperparameters, algorithm, prepared.samples)
    if plan.instance.count > 1:
        # Every machine takes a whole mini-batch of its own, and they agree on the weights after each.
        chosen = {"kv_store": "dist_sync"} | chosen
        if "mini_batch_size" not in plan.hyperparameters:
            share = max(1, prepared.samples // plan.instance.count)
            chosen["mini_batch_size"] = str(min(int(chosen["mini_batch_size"]), share))
    chosen |= {
        "num_classes": str(prepared.classes),
        "num_training_samples": str(prepared.samples),
        "label_width": str(prepared.label_width),
    }
    hyperparameters.parse(chosen, extensions=algorithm == DETECTOR)
    return chosen
