"""The part of a training plan that preparation obeys: what is read, how it is divided, what is written."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dropspot.plan_fields import Fields

SPLITS = ("train", "validation", "test")
LAYOUTS = ("voc", "coco", "yolo", "sagemaker-json", "manifest")
OUTPUTS = ("recordio", "image", "augmented-manifest")
BREED, SPECIES = "breed", "species"

Classes = list[str] | dict[str, str] | str | None


@dataclass(frozen=True, slots=True)
class Split:
    """The shares of the three parts, which add up to 1, and the seed that draws them.

    `lists` says what becomes of a division that the data set comes with: "auto" follows it where every part of it has
    boxes, "follow" refuses the data set where that can't be done, "ignore" always draws.
    """

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0
    lists: str = "auto"

    @property
    def shares(self) -> tuple[float, float, float]:
        return self.train, self.validation, self.test

    @classmethod
    def take(cls, fields: Fields) -> "Split":
        standard = cls()
        split = cls(
            train=fields.number("train", standard.train, 0, 1),
            validation=fields.number("validation", standard.validation, 0, 1),
            test=fields.number("test", standard.test, 0, 1),
            seed=fields.integer("seed", standard.seed, 0, 2**31 - 1),
            lists=fields.choice("lists", standard.lists, ("auto", "follow", "ignore")),
        )
        if abs(sum(split.shares) - 1) > 1e-6 or not all(split.shares):
            raise fields.refusal("train, validation and test", "must each be above 0 and add up to 1")
        fields.finish()
        return split


@dataclass(frozen=True, slots=True)
class BoxRules:
    """How stated boxes are understood, and which kinds of objects are trained on.

    `units` and `first_pixel` ("0" or "1": the number of the leftmost pixel) are found out from the data where they are
    "auto". The other fields are "keep" or "drop".
    """

    units: str = "auto"
    first_pixel: str = "auto"
    difficult: str = "keep"
    truncated: str = "keep"
    crowd: str = "drop"

    @classmethod
    def take(cls, fields: Fields) -> "BoxRules":
        standard, either = cls(), ("keep", "drop")
        rules = cls(
            units=fields.choice("units", standard.units, ("auto", "pixel", "ratio", "percent")),
            first_pixel=fields.choice("first_pixel", standard.first_pixel, ("auto", "0", "1")),
            difficult=fields.choice("difficult", standard.difficult, either),
            truncated=fields.choice("truncated", standard.truncated, either),
            crowd=fields.choice("crowd", standard.crowd, either),
        )
        fields.finish()
        return rules


@dataclass(frozen=True, slots=True)
class PreparationPlan:
    """What to prepare, every field checked.

    `classes` is None (every class as it is), a list of names to keep, a mapping of names to the names to train, or one
    of the Oxford pets' two namings: "species" or "breed". `layout` is "auto" or one of LAYOUTS. `shorter_side` is in
    pixels; `max_left_out` is a fraction of the pictures.
    """

    classes: Classes = None
    layout: str = "auto"
    split: Split = field(default_factory=Split)
    boxes: BoxRules = field(default_factory=BoxRules)
    output: str = "recordio"
    shorter_side: int = 512
    max_left_out: float = 0.2

    @classmethod
    def take(cls, fields: Fields) -> "PreparationPlan":
        """Take preparation's fields out of a plan; raise InvalidInputError, one sentence that names the field."""
        quarantine = fields.part("quarantine")
        plan = cls(
            classes=_classes(fields),
            layout=fields.choice("layout", "auto", ("auto", *LAYOUTS)),
            split=Split.take(fields.part("split")),
            boxes=BoxRules.take(fields.part("boxes")),
            output=fields.choice("output", "recordio", OUTPUTS),
            shorter_side=fields.integer("shorter_side", 512, 32, 4096),
            max_left_out=quarantine.number("max_left_out", 0.2, 0, 1),
        )
        quarantine.finish()
        return plan

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "PreparationPlan":
        """Return the plan that `document` kept."""
        return cls.take(Fields(dict(document), "plan.json"))

    @property
    def document(self) -> dict[str, Any]:
        """The fields as plan.json keeps them."""
        return {
            "classes": self.classes,
            "layout": self.layout,
            "split": asdict(self.split),
            "boxes": asdict(self.boxes),
            "output": self.output,
            "shorter_side": self.shorter_side,
            "quarantine": {"max_left_out": self.max_left_out},
        }

    @property
    def class_names(self) -> dict[str, str] | None:
        """The annotations' names by the names to train them under; None takes all as they are."""
        if isinstance(self.classes, list):
            return {name: name for name in self.classes}
        return self.classes if isinstance(self.classes, dict) else None


def _classes(fields: Fields) -> Classes:
    value = fields.take("classes", None)
    if value is None or value in (BREED, SPECIES):
        return value  # type: ignore[no-any-return]
    names = [*value, *value.values()] if isinstance(value, dict) else value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n.strip() for n in names):
        raise fields.refusal(
            "classes", f'must be a list of names, an object of names to new names, "{SPECIES}" or "{BREED}"'
        )
    if isinstance(value, list) and len(set(value)) != len(value):
        raise fields.refusal("classes", "names a class twice")
    return value  # type: ignore[no-any-return]  # checked above, piece by piece
