"""The plan's part on tuning: which hyperparameters are searched over which ranges, in how many trainings.

Names and ranges are those of "Tune an Object Detection Model" in the SageMaker developer guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropspot import hyperparameters
from dropspot.errors import InvalidInputError
from dropspot.plan_fields import Fields, shortened
from dropspot.ports import Request

OBJECTIVE = {"Type": "Maximize", "MetricName": "validation:mAP"}
STRATEGIES = ("Bayesian", "Random")
SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
WHOLE = {"mini_batch_size": (8, 64)}
DECIMAL = {"learning_rate": (1e-6, 0.5), "momentum": (0.0, 0.999), "weight_decay": (0.0, 0.999)}
CHOICES = ("optimizer",)

Range = dict[str, Any]  # {"min", "max", "scaling"} or {"values"}


@dataclass(frozen=True, slots=True)
class Tuning:
    """A search: `ranges` by hyperparameter, in at most `max_jobs` trainings of which `parallel` run at once."""

    ranges: dict[str, Range]
    max_jobs: int = 10
    parallel: int = 2
    strategy: str = "Bayesian"

    @classmethod
    def take(cls, fields: Fields, where: str) -> "Tuning":
        """Return what a plan's `tuning` states; InvalidInputError names the field."""
        ranges = fields.take("ranges", None)
        if not isinstance(ranges, dict) or not ranges:
            raise fields.refusal("ranges", "must be an object of hyperparameters to their ranges")
        tuning = cls(
            ranges={name: _range(name, stated, f"{where}: ranges") for name, stated in ranges.items()},
            max_jobs=fields.integer("max_jobs", 10, 1, 500),
            parallel=fields.integer("parallel", 2, 1, 100),
            strategy=fields.choice("strategy", "Bayesian", STRATEGIES),
        )
        fields.finish()
        if tuning.parallel > tuning.max_jobs:
            raise fields.refusal("parallel", f"is {tuning.parallel}: must not be above max_jobs, {tuning.max_jobs}")
        return tuning

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Tuning":
        """Return the tuning that an earlier step wrote to the run."""
        return cls(**document)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "ranges": self.ranges,
            "max_jobs": self.max_jobs,
            "parallel": self.parallel,
            "strategy": self.strategy,
        }

    @property
    def largest_batch(self) -> int | None:
        """The largest mini-batch that may be tried, None where that isn't searched."""
        found = self.ranges.get("mini_batch_size")
        return int(found["max"]) if found else None

    @property
    def config(self) -> Request:
        """HyperParameterTuningJobConfig, as CreateHyperParameterTuningJob takes it."""
        numbers = {name: _ends(name, stated) for name, stated in self.ranges.items() if "values" not in stated}
        lists = [
            {"Name": name, "Values": stated["values"]} for name, stated in self.ranges.items() if "values" in stated
        ]
        kinds = {
            "IntegerParameterRanges": [item for name, item in numbers.items() if name in WHOLE],
            "ContinuousParameterRanges": [item for name, item in numbers.items() if name in DECIMAL],
            "CategoricalParameterRanges": lists,
        }
        return {
            "Strategy": self.strategy,
            "HyperParameterTuningJobObjective": OBJECTIVE,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": self.max_jobs, "MaxParallelTrainingJobs": self.parallel},
            "ParameterRanges": {kind: items for kind, items in kinds.items() if items},
            "TrainingJobEarlyStoppingType": "Off",
        }


def _ends(name: str, stated: Range) -> Request:
    return {
        "Name": name,
        "MinValue": str(stated["min"]),
        "MaxValue": str(stated["max"]),
        "ScalingType": stated["scaling"],
    }


def _range(name: str, stated: Any, where: str) -> Range:
    fields = Fields(stated, f"{where}: {shortened(name)}")
    if name in CHOICES:
        values = fields.take("values", None)
        if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
            raise fields.refusal("values", "must be a list of texts that isn't empty")
        found: Range = {"values": values}
    elif name in WHOLE or name in DECIMAL:
        take = fields.integer if name in WHOLE else fields.number
        low, high = (WHOLE | DECIMAL)[name]
        ends = {end: take(end, stated.get(end, -1), low, high) for end in ("min", "max")}  # type: ignore[arg-type]
        if ends["min"] >= ends["max"]:
            raise fields.refusal("min", f"is {ends['min']:g}: must be below max, {ends['max']:g}")
        found = ends | {"scaling": fields.choice("scaling", "Auto", SCALINGS)}
        if found["scaling"] == "Logarithmic" and ends["min"] <= 0:
            raise fields.refusal("min", "must be above 0 where scaling is Logarithmic")
        if found["scaling"] == "ReverseLogarithmic" and name in WHOLE:
            raise fields.refusal("scaling", "can't be ReverseLogarithmic for whole numbers")
    else:
        can = ", ".join((*WHOLE, *DECIMAL, *CHOICES))
        raise InvalidInputError(f"{where}: {shortened(name)} can't be tuned: only {can} can")
    fields.finish()
    for value in found.get("values", [found.get("min"), found.get("max")]):
        try:
            hyperparameters.BUILT_IN[name].parse(str(value))
        except InvalidInputError as error:
            raise InvalidInputError(f"{where}: {error}") from error
    return found
