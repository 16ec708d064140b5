"""The training plan: `training.json` beside the data set, laid over the stack's parameters."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dropspot import hyperparameters
from dropspot.datasets import PLAN_FILE
from dropspot.errors import InvalidInputError
from dropspot.plan_fields import Fields, shortened, stated
from dropspot.preparation_plan import PreparationPlan
from dropspot.tuning_plan import Tuning

SCHEMA = "dropspot/plan/1"
_RUNTIMES = (60, 2_419_200)  # seconds that a training may be given
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
BUILT_IN = "built-in"
DETECTOR = "detector"

# How each output can reach a training job, the default first: the built-in algorithm's own table of content types and
# input modes, and detector_container's.
INPUT_MODES = {"recordio": ("File", "FastFile", "Pipe"), "image": ("File",), "augmented-manifest": ("Pipe",)}


@dataclass(frozen=True, slots=True)
class Instance:
    """The machines that train: an instance type and how many of it."""

    type: str
    count: int


AUTOMATIC, MANUAL = "automatic", "manual"


@dataclass(frozen=True, slots=True)
class Gate:
    """What a candidate must reach on the held-out pictures; the measure is all-point AP@0.5.

    `max_class_drop` is how much worse than the champion a class may be. A model that passes goes into service by itself
    (`approval` automatic) or when somebody approves it.
    """

    min_map50: float = 0.5
    min_class_ap50: float = 0.0
    max_class_drop: float = 0.1
    min_boxes: int = 1
    approval: str = AUTOMATIC

    @classmethod
    def take(cls, fields: Fields, defaults: "Gate") -> "Gate":
        """Return the gate that a plan states over the defaults; manual approval can be asked for, not waived."""
        gate = cls(
            min_map50=fields.number("min_map50", defaults.min_map50, 0, 1),
            min_class_ap50=fields.number("min_class_ap50", defaults.min_class_ap50, 0, 1),
            max_class_drop=fields.number("max_class_drop", defaults.max_class_drop, 0, 1),
            min_boxes=fields.integer("min_boxes", defaults.min_boxes, 0, 1_000_000),
            approval=fields.choice("approval", defaults.approval, (AUTOMATIC, MANUAL)),
        )
        if defaults.approval == MANUAL and gate.approval != MANUAL:
            raise fields.refusal("approval", "can't be automatic: this stack's parameter ApprovalMode is manual")
        return gate


@dataclass(frozen=True, slots=True)
class PlanDefaults:
    """The stack's parameters that a plan may leave to it; `epochs` 0 means that the recipe chooses."""

    instance: Instance
    spot: bool = False
    max_runtime_seconds: int = 86_400
    epochs: int = 0
    gate: Gate = field(default_factory=Gate)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "PlanDefaults":
        """Return the parameters; InvalidInputError names the one that no plan could state either."""
        seconds, (least, most) = int(document["max_runtime_seconds"]), _RUNTIMES
        if not least <= seconds <= most:
            raise InvalidInputError(
                f"the stack's parameter MaxTrainingSeconds is {seconds}: must be a whole number from {least} to {most}"
            )
        return cls(
            instance=Instance(str(document["instance"]["type"]), int(document["instance"]["count"])),
            spot=bool(document["spot"]),
            max_runtime_seconds=seconds,
            epochs=int(document["epochs"]),
            gate=Gate(**document["gate"]),
        )


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A checked plan, every field set."""

    instance: Instance
    preparation: PreparationPlan = field(default_factory=PreparationPlan)
    input_mode: str = "File"
    hyperparameters: dict[str, str] = field(default_factory=dict)
    spot: bool = False
    max_runtime_seconds: int = 86_400
    gate: Gate = field(default_factory=Gate)
    incremental: bool = False  # begin with the champion's weights, where its network and classes are the same
    tuning: Tuning | None = None

    @classmethod
    def parse(cls, text: bytes, defaults: PlanDefaults, algorithm: str) -> "TrainingPlan":
        """Return the plan that `training.json`'s bytes state over the defaults; b"{}" states nothing.

        Raises InvalidInputError, one sentence that names the field.
        """
        fields = Fields(stated(text, PLAN_FILE), PLAN_FILE)
        gate = fields.part("gate")
        instance = fields.part("instance")
        tuning = Tuning.take(fields.part("tuning"), f"{PLAN_FILE}: tuning") if "tuning" in fields else None
        preparation = PreparationPlan.take(fields)
        possible = INPUT_MODES[preparation.output]
        plan = cls(
            preparation=preparation,
            input_mode=fields.choice("input_mode", possible[0], possible),
            hyperparameters=_hyperparameters(fields.take("hyperparameters", {}), defaults, algorithm),
            instance=Instance(
                instance.matching(
                    "type", defaults.instance.type, _INSTANCE_TYPE, "must be an instance type like ml.m5.xlarge"
                ),
                instance.integer("count", defaults.instance.count, 1, 100),
            ),
            spot=fields.flag("spot", defaults.spot),
            max_runtime_seconds=fields.integer("max_runtime_seconds", defaults.max_runtime_seconds, *_RUNTIMES),
            gate=Gate.take(gate, defaults.gate),
            incremental=fields.flag("incremental", False),
            tuning=tuning,
        )
        if tuning and (both := sorted(tuning.ranges.keys() & plan.hyperparameters.keys())):
            raise InvalidInputError(f"{PLAN_FILE}: hyperparameter {both[0]} has a value and a range to tune it over")
        fields.choice("schema", SCHEMA, (SCHEMA,))
        for part in (gate, instance, fields):
            part.finish()
        return plan

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "TrainingPlan":
        """Return the plan that an earlier step wrote to the run."""
        return cls(
            preparation=PreparationPlan.from_document(document),
            input_mode=document["input_mode"],
            hyperparameters=dict(document["hyperparameters"]),
            instance=Instance(**document["instance"]),
            spot=document["spot"],
            max_runtime_seconds=document["max_runtime_seconds"],
            gate=Gate(**document["gate"]),
            incremental=document.get("incremental", False),
            tuning=Tuning.from_document(document["tuning"]) if document.get("tuning") else None,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that change the data or the model, which the run's id covers."""
        return {
            **self.preparation.document,
            "input_mode": self.input_mode,
            "hyperparameters": self.hyperparameters,
            # Only where they are asked for: runs of older plans keep their ids.
            **({"incremental": True} if self.incremental else {}),
            **({"tuning": self.tuning.document} if self.tuning else {}),
        }

    @property
    def document(self) -> dict[str, Any]:
        """The merged plan as `runs/<run_id>/plan.json` keeps it."""
        return {
            "schema": SCHEMA,
            **self.identity,
            "instance": {"type": self.instance.type, "count": self.instance.count},
            "spot": self.spot,
            "max_runtime_seconds": self.max_runtime_seconds,
            "gate": asdict(self.gate),
        }


def _hyperparameters(value: Any, defaults: PlanDefaults, algorithm: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidInputError("training.json: hyperparameters must be an object of names to values")
    if computed := hyperparameters.COMPUTED & value.keys():
        raise InvalidInputError(
            f"training.json: hyperparameter {sorted(computed)[0]} is computed from the data set and can't be set"
        )
    texts = {name: _hyperparameter_text(name, item) for name, item in value.items()}
    try:
        hyperparameters.parse(texts, extensions=algorithm == DETECTOR)
    except InvalidInputError as error:
        raise InvalidInputError(f"training.json: {error}") from error
    return ({"epochs": str(defaults.epochs)} if defaults.epochs else {}) | texts


def _hyperparameter_text(name: str, value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise InvalidInputError(f"training.json: hyperparameter {shortened(name)} must be a text or a number")
    return str(value)
