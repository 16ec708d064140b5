"""The training plan: `training.json` beside the data set, laid over the stack's parameters."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dropspot import hyperparameters
from dropspot.errors import InvalidInputError

SCHEMA = "dropspot/plan/1"
MAX_BYTES = 100_000
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
BUILT_IN = "built-in"
DETECTOR = "detector"

Classes = list[str] | dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Instance:
    """The machines that train: an instance type and how many of it."""

    type: str
    count: int


@dataclass(frozen=True, slots=True)
class Split:
    """The shares of the three parts, which add up to 1, and the seed that draws them."""

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """What a candidate must reach on the held-out pictures; the measure is all-point AP@0.5."""

    min_map50: float = 0.5
    min_boxes: int = 1


@dataclass(frozen=True, slots=True)
class PlanDefaults:
    """The stack's parameters that a plan may leave to it; `epochs` 0 means that the recipe chooses."""

    instance: Instance
    spot: bool = False
    max_runtime_seconds: int = 86_400
    epochs: int = 0
    min_map50: float = 0.5

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "PlanDefaults":
        return cls(
            instance=Instance(str(document["instance"]["type"]), int(document["instance"]["count"])),
            spot=bool(document["spot"]),
            max_runtime_seconds=int(document["max_runtime_seconds"]),
            epochs=int(document["epochs"]),
            min_map50=float(document["gate"]["min_map50"]),
        )


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A checked plan, every field set. Numbers of `split` and `quarantine` are shares of the pictures (0 to 1)."""

    instance: Instance
    classes: Classes = None
    split: Split = field(default_factory=Split)
    output: str = "recordio"
    input_mode: str = "File"
    shorter_side: int = 512
    hyperparameters: dict[str, str] = field(default_factory=dict)
    spot: bool = False
    max_runtime_seconds: int = 86_400
    gate: Gate = field(default_factory=Gate)
    max_left_out: float = 0.2

    @classmethod
    def parse(cls, text: bytes, defaults: PlanDefaults, algorithm: str) -> "TrainingPlan":
        """Return the plan that `training.json`'s bytes state over the defaults; b"{}" states nothing.

        Raises InvalidInputError, one sentence that names the field.
        """
        reader = _Reader(stated(text), "training.json")
        gate = reader.part("gate")
        split = reader.part("split")
        instance = reader.part("instance")
        quarantine = reader.part("quarantine")
        plan = cls(
            classes=_classes(reader.take("classes", None)),
            split=_split(split),
            output=reader.choice("output", "recordio", ("recordio",)),
            input_mode=reader.choice("input_mode", "File", ("File", "FastFile")),
            shorter_side=reader.integer("shorter_side", 512, 32, 4096),
            hyperparameters=_hyperparameters(reader.take("hyperparameters", {}), defaults, algorithm),
            instance=Instance(
                instance.matching(
                    "type", defaults.instance.type, _INSTANCE_TYPE, "must be an instance type like ml.m5.xlarge"
                ),
                instance.integer("count", defaults.instance.count, 1, 100),
            ),
            spot=reader.flag("spot", defaults.spot),
            max_runtime_seconds=reader.integer("max_runtime_seconds", defaults.max_runtime_seconds, 60, 2_419_200),
            gate=Gate(gate.number("min_map50", defaults.min_map50, 0, 1), gate.integer("min_boxes", 1, 0, 1_000_000)),
            max_left_out=quarantine.number("max_left_out", 0.2, 0, 1),
        )
        reader.choice("schema", SCHEMA, (SCHEMA,))
        for part in (gate, split, instance, quarantine, reader):
            part.finish()
        return plan

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "TrainingPlan":
        """Return the plan that an earlier step wrote to the run."""
        return cls(
            classes=document["classes"],
            split=Split(**document["split"]),
            output=document["output"],
            input_mode=document["input_mode"],
            shorter_side=document["shorter_side"],
            hyperparameters=dict(document["hyperparameters"]),
            instance=Instance(**document["instance"]),
            spot=document["spot"],
            max_runtime_seconds=document["max_runtime_seconds"],
            gate=Gate(**document["gate"]),
            max_left_out=document["quarantine"]["max_left_out"],
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that change the data or the model, which the run's id covers."""
        return {
            "classes": self.classes,
            "split": {name: getattr(self.split, name) for name in ("train", "validation", "test", "seed")},
            "output": self.output,
            "input_mode": self.input_mode,
            "shorter_side": self.shorter_side,
            "hyperparameters": self.hyperparameters,
            "quarantine": {"max_left_out": self.max_left_out},
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
            "gate": {"min_map50": self.gate.min_map50, "min_boxes": self.gate.min_boxes},
        }


def stated(text: bytes) -> Any:
    """Return what the bytes of `training.json` state; raise InvalidInputError for what is no JSON or can't be kept."""
    if len(text) > MAX_BYTES:
        raise InvalidInputError(f"training.json has {len(text)} bytes: a plan has at most {MAX_BYTES}")
    try:
        document = json.loads(text)
        # A lone surrogate passes as JSON and can't be written down again.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"training.json is not JSON that can be kept: {_shortened(str(error))}") from error
    return document


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


class _Reader:
    """Takes fields out of one JSON object, each checked by name; `finish` refuses what nobody took."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise InvalidInputError(f"{where} must be a JSON object, not {json.dumps(document)[:40]}")
        self._left = dict(document)
        self._where = where

    def _refuse(self, name: str, value: Any, rule: str) -> InvalidInputError:
        return InvalidInputError(f"{self._where}: {name} is {json.dumps(value)[:80]}: {rule}")

    def take(self, name: str, default: Any) -> Any:
        return self._left.pop(name, default)

    def part(self, name: str) -> "_Reader":
        return _Reader(self.take(name, {}), f"{self._where}: {name}")

    def matching(self, name: str, default: str, pattern: re.Pattern[str], rule: str) -> str:
        value = self.take(name, default)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise self._refuse(name, value, rule)
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self._refuse(name, value, "must be true or false")
        return value

    def choice(self, name: str, default: str, values: tuple[str, ...]) -> str:
        value = self.take(name, default)
        if value not in values:
            raise self._refuse(name, value, f"must be one of {', '.join(values)}")
        return str(value)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._refuse(name, value, f"must be a whole number from {low} to {high}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._refuse(name, value, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def finish(self) -> None:
        if self._left:
            raise InvalidInputError(
                f"{self._where}: {_shortened(sorted(self._left)[0])} is no field of the training plan"
            )


def _classes(value: Any) -> Classes:
    names = list(value.values()) + list(value) if isinstance(value, dict) else value
    if value is not None and (
        not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names)
    ):
        raise InvalidInputError("training.json: classes must be a list of names, or an object of names to new names")
    if isinstance(value, list) and len(set(value)) != len(value):
        raise InvalidInputError("training.json: classes names a class twice")
    return value  # type: ignore[no-any-return]  # checked above, piece by piece


def _split(reader: _Reader) -> Split:
    standard = Split()
    split = Split(
        train=reader.number("train", standard.train, 0, 1),
        validation=reader.number("validation", standard.validation, 0, 1),
        test=reader.number("test", standard.test, 0, 1),
        seed=reader.integer("seed", standard.seed, 0, 2**31 - 1),
    )
    if (
        abs(split.train + split.validation + split.test - 1) > 1e-6
        or not split.train
        or not split.test
        or not split.validation
    ):
        raise InvalidInputError("training.json: split: train, validation and test must each be above 0 and add up to 1")
    return split


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
        raise InvalidInputError(f"training.json: hyperparameter {_shortened(name)} must be a text or a number")
    return str(value)
