"""The part of a run's plan.json that preparation obeys."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropspot.errors import InvalidInputError

SCHEMA = "dropspot/plan/1"
SPLITS = ("train", "validation", "test")
OUTPUTS = ("recordio",)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Shares of the pictures that go to each side (they add up to 1), and the seed of the draw."""

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0

    @property
    def shares(self) -> tuple[float, float, float]:
        return self.train, self.validation, self.test


@dataclass(frozen=True, slots=True)
class PreparationPlan:
    """What to prepare.

    `classes` maps the names found in annotations to the names to train, or is None to take every class as it is.
    `shorter_side` is in pixels; `max_left_out` is a fraction of the pictures.
    """

    classes: Mapping[str, str] | None = None
    split: SplitPlan = field(default_factory=SplitPlan)
    output: str = "recordio"
    shorter_side: int = 512
    max_left_out: float = 0.2

    @classmethod
    def from_file(cls, path: Path) -> PreparationPlan:
        """Read plan.json; every default holds when there is no such file (the container used on its own)."""
        if not path.exists():
            return cls()
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"read the plan {path.name}: it is not valid JSON ({error})") from error
        return cls.from_document(document)

    @classmethod
    def from_document(cls, document: object) -> PreparationPlan:
        """Check the fields preparation uses; the others belong to later steps and are not looked at."""
        plan = _object(document, "the plan")
        schema = plan.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise InvalidInputError(f"the plan has the schema {schema!r}, this container understands {SCHEMA!r}")
        output = plan.get("output", "recordio")
        if output not in OUTPUTS:
            raise InvalidInputError(f"the plan's output is {output!r}, but can only be {' or '.join(OUTPUTS)}")
        quarantine = _object(plan.get("quarantine", {}), "the plan's quarantine")
        return cls(
            classes=_classes(plan.get("classes")),
            split=_split(_object(plan.get("split", {}), "the plan's split")),
            output=str(output),
            shorter_side=_integer(plan.get("shorter_side", 512), "shorter_side", 32, 4096),
            max_left_out=_number(quarantine.get("max_left_out", 0.2), "quarantine.max_left_out", 0.0, 1.0),
        )


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInputError(f"{what} must be a JSON object, not {value!r}")
    return value


def _number(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"the plan's {name} must be a number, not {value!r}")
    if not low <= value <= high:
        raise InvalidInputError(f"the plan's {name} must be between {low:g} and {high:g}, not {value:g}")
    return float(value)


def _integer(value: object, name: str, low: int, high: int) -> int:
    number = _number(value, name, low, high)
    if number != int(number):
        raise InvalidInputError(f"the plan's {name} must be a whole number, not {value!r}")
    return int(number)


def _split(value: Mapping[str, Any]) -> SplitPlan:
    defaults = SplitPlan()
    train, validation, test = shares = [
        _number(value.get(side, default), f"split.{side}", 0.0, 1.0)
        for side, default in zip(SPLITS, defaults.shares, strict=True)
    ]
    if min(shares) <= 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise InvalidInputError(
            f"the plan's split must give train, validation and test shares above 0 that add up to 1, not {shares}"
        )
    return SplitPlan(train, validation, test, seed=_integer(value.get("seed", 0), "split.seed", 0, 2**53))


def _classes(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    pairs = {name: name for name in value if isinstance(name, str)} if isinstance(value, list) else value
    if not isinstance(pairs, dict) or (isinstance(value, list) and len(pairs) != len(value)):
        raise InvalidInputError("the plan's classes must be a list of different names or an object of name: new name")
    if not pairs or not all(isinstance(new, str) and name.strip() and new.strip() for name, new in pairs.items()):
        raise InvalidInputError("the plan's classes must hold at least one name, and no empty ones")
    return {name.strip(): new.strip() for name, new in pairs.items()}
