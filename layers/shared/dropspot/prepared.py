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
    """

    classes: int
    samples: int
    label_width: int
    output: str = "recordio"

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> "Prepared":
        """Take them from report.json; one that names no output is of a time when there was only RecordIO."""
        return cls(
            len(report["classes"]),
            report["num_training_samples"],
            report["label_width"],
            report.get("output", "recordio"),
        )


def hyperparameters_for(plan: TrainingPlan, prepared: Prepared, algorithm: str) -> dict[str, str]:
    """Return the hyperparameters as SageMaker sends them: the plan over the recipe, and what the data decides."""
    network = plan.hyperparameters.get("base_network", "auto")
    chosen = hyperparameters.recipe(algorithm, prepared.samples, network) | {
        name: value for name, value in plan.hyperparameters.items() if (name, value) != ("base_network", "auto")
    }
    chosen |= {
        "num_classes": str(prepared.classes),
        "num_training_samples": str(prepared.samples),
        "label_width": str(prepared.label_width),
    }
    hyperparameters.parse(chosen, extensions=algorithm == DETECTOR)
    return chosen
