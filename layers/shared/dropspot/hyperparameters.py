"""The Object Detection algorithm's hyperparameters: names, types, ranges, defaults.

One table serves the plan's check in the Lambdas and the detector container's own check. The built-in's rows copy the
algorithm's documented table ("Object Detection Hyperparameters", Amazon SageMaker developer guide); the extensions are
understood by detector_container alone and refused by name for the built-in.

SageMaker sends every value as a string.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dropspot.errors import InvalidInputError

Value = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One row: how a value is read, what it may be, and what it is when absent (None: no default)."""

    name: str
    read: Callable[[str], Value]
    accepts: Callable[[Value], bool]
    rule: str  # the accepted values in words, for the refusal's sentence
    default: Value | None = None

    def parse(self, text: str) -> Value:
        """Return the value of `text`; raise InvalidInputError naming the hyperparameter."""
        quoted = repr(text) if len(text) <= 40 else f"{text[:40]!r}…"
        refusal = InvalidInputError(f"hyperparameter {self.name} is {quoted}: {self.rule}")
        try:
            value = self.read(text)
        except ValueError as error:
            raise refusal from error
        if not self.accepts(value):
            raise refusal
        return value


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # Python's own spellings
        raise ValueError(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    value = {"true": True, "false": False, "1": True, "0": False}.get(text.strip().lower())
    if value is None:
        raise ValueError(text)
    return value


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(text) from error
    return text


def _int(name: str, low: int, default: int | None = None, high: int | None = None) -> Hyperparameter:
    rule = (
        f"must be a whole number of at least {low}" if high is None else f"must be a whole number from {low} to {high}"
    )
    return Hyperparameter(
        name, _integer, lambda v: low <= float(v) <= (math.inf if high is None else high), rule, default
    )


def _float(name: str, rule: str, accepts: Callable[[float], bool], default: float) -> Hyperparameter:
    return Hyperparameter(name, _number, lambda v: accepts(float(v)), rule, default)


def _choice(name: str, values: tuple[str, ...], default: str | None) -> Hyperparameter:
    return Hyperparameter(name, str, lambda v: v in values, f"must be one of {', '.join(values)}", default)


def _anything(_: Value) -> bool:
    return True


def _epochs_list(value: Value) -> bool:
    return value == "" or re.fullmatch(r"\s*[1-9][0-9]*(\s*,\s*[1-9][0-9]*)*\s*", str(value)) is not None


BUILT_IN_NETWORKS = ("vgg-16", "resnet-50")
_EXTENDED_NETWORKS = (*BUILT_IN_NETWORKS, "efficientnet-lite0", "tiny", "auto")
# The documentation knows no upper end for these; beyond this one nothing would ever end or fit.
_MOST = 100_000
_MOST_CLASSES = 10_000
_SMALLEST_VGG_16 = 268  # from here on its last map's 3x3 kernel fits the map before it
_UNIT_OPEN_LEFT = "must be a number above 0 and at most 1"
_UNIT_OPEN = "must be a number between 0 and 1, both excluded"

BUILT_IN: dict[str, Hyperparameter] = {
    row.name: row
    for row in (
        _int("num_classes", 1, None, _MOST_CLASSES),
        _int("num_training_samples", 1),
        _choice("base_network", BUILT_IN_NETWORKS, "vgg-16"),
        _int("use_pretrained_model", 0, 1, 1),
        _int("epochs", 1, 30, _MOST),
        _int("mini_batch_size", 1, 32, _MOST),
        _int("image_shape", 300, 300, 2048),
        _int("label_width", 7, 350),
        _float("learning_rate", _UNIT_OPEN_LEFT, lambda v: 0 < v <= 1, 0.001),
        Hyperparameter("lr_scheduler_step", str, _epochs_list, "must be epochs separated by commas, like 10,20", ""),
        _float("lr_scheduler_factor", _UNIT_OPEN, lambda v: 0 < v < 1, 0.1),
        _choice("optimizer", ("sgd", "adam", "rmsprop", "adadelta"), "sgd"),
        _float("momentum", _UNIT_OPEN_LEFT, lambda v: 0 < v <= 1, 0.9),
        _float("weight_decay", _UNIT_OPEN, lambda v: 0 < v < 1, 0.0005),
        _float("overlap_threshold", _UNIT_OPEN_LEFT, lambda v: 0 < v <= 1, 0.5),
        _float("nms_threshold", _UNIT_OPEN_LEFT, lambda v: 0 < v <= 1, 0.45),
        Hyperparameter("freeze_layer_pattern", _pattern, _anything, "must be a regular expression", ""),
        Hyperparameter("early_stopping", _flag, _anything, "must be True or False", False),
        _int("early_stopping_min_epochs", 1, 10),
        _int("early_stopping_patience", 1, 5),
        _float("early_stopping_tolerance", "must be a number from 0 to 1", lambda v: 0 <= v <= 1, 0.0),
        _choice("kv_store", ("dist_sync", "dist_async"), None),
    )
}

EXTENSIONS: dict[str, Hyperparameter] = {
    row.name: row
    for row in (
        _choice("base_network", _EXTENDED_NETWORKS, "vgg-16"),
        _int("image_shape", 128, 300, 2048),
        # A search's documented range begins at 0.
        _float("momentum", "must be a number from 0 to 1", lambda v: 0 <= v <= 1, 0.9),
        _float("weight_decay", "must be a number from 0 to below 1", lambda v: 0 <= v < 1, 0.0005),
        _choice("schedule", ("step", "cosine"), "step"),
        _int("warmup_steps", 0, 0),
        _float("clip_gradient", "must be 0 (off) or a number above it", lambda v: v >= 0, 0.0),
        _float("weight_averaging", "must be a decay from 0 (off) to below 1", lambda v: 0 <= v < 1, 0.0),
        _choice("anchors", ("standard", "fitted"), "standard"),
        _int("nms_topk", 1, 400, 10_000),
        _int("seed", 0, 0, 2**31 - 1),
    )
}


def table(*, extensions: bool) -> dict[str, Hyperparameter]:
    """Return the rows that hold for the built-in, or for detector_container (`extensions`)."""
    return BUILT_IN | EXTENSIONS if extensions else BUILT_IN


def parse(values: Mapping[str, str], *, extensions: bool) -> dict[str, Value]:
    """Return the typed values of those that are given; raise InvalidInputError naming the first wrong one."""
    rows = table(extensions=extensions)
    for name in values:
        if name not in rows:
            hint = " (an extension that only detector_container understands)" if name in EXTENSIONS else ""
            raise InvalidInputError(f"hyperparameter {name[:80]} is unknown to the algorithm{hint}")
    typed = {name: rows[name].parse(str(text)) for name, text in values.items()}
    refuse_combinations(typed)
    return typed


def refuse_combinations(values: Mapping[str, Value]) -> None:
    """Raise InvalidInputError for values that are right alone but not together."""
    if values.get("anchors") == "fitted" and values.get("base_network") in BUILT_IN_NETWORKS:
        raise InvalidInputError(
            f"hyperparameter anchors is fitted: {values['base_network']} has the built-in algorithm's anchors, which"
            " only standard leaves as they are"
        )
    side = values.get("image_shape")
    if values.get("base_network") == "vgg-16" and side is not None and int(side) < _SMALLEST_VGG_16:
        raise InvalidInputError(f"hyperparameter image_shape is {side}: vgg-16 needs at least {_SMALLEST_VGG_16}")


def defaults(*, extensions: bool) -> dict[str, Value]:
    """Return the defaults of all rows that have one."""
    return {row.name: row.default for row in table(extensions=extensions).values() if row.default is not None}


# What is chosen for the user by the pipeline, so the plan may not state it.
COMPUTED = frozenset({"num_classes", "num_training_samples", "label_width"})


def recipe(algorithm: str, num_training_samples: int, base_network: str = "auto") -> dict[str, str]:
    """Return what `start_training` sends where the plan is silent, for the network that the plan names.

    `auto` is ResNet-50 with its pretrained weights on the built-in, EfficientNet-Lite0 on detector_container. The two
    small networks are trained with annealed Adam and averaged weights, with more epochs the fewer the pictures.
    """
    samples = max(1, num_training_samples)
    if algorithm == "built-in" or base_network in BUILT_IN_NETWORKS:
        return {
            "base_network": "resnet-50" if base_network == "auto" else base_network,
            "use_pretrained_model": "1",
            "image_shape": "512",
            "mini_batch_size": str(min(16, samples)),
            "epochs": "30",
            "lr_scheduler_step": "20,27",
        }
    annealed = {
        "optimizer": "adam",
        "schedule": "cosine",
        "warmup_steps": "10",
        "clip_gradient": "5",
        "weight_averaging": "0.99",
        "anchors": "fitted",
    }
    if base_network == "tiny":
        return annealed | {
            "base_network": "tiny",
            "use_pretrained_model": "0",
            "image_shape": "128",
            "mini_batch_size": str(min(32, samples)),
            "epochs": str(max(4, min(60, round(6000 / samples)))),
            "learning_rate": "0.002",
        }
    return annealed | {
        "base_network": "efficientnet-lite0",
        "use_pretrained_model": "1",
        "freeze_layer_pattern": r"^(stem|block[0-4]_|block\d+_depthwise)",
        "image_shape": "289",  # 9 x 32 + 1: every halving inside the network is exact, so no map needs lopsided padding
        "mini_batch_size": str(min(8, samples)),
        "epochs": str(max(6, min(60, round(120 / samples**0.5)))),
        "learning_rate": "0.001",
        "weight_decay": "0.0001",
    }


def over_recipe(given: Mapping[str, str], algorithm: str, num_training_samples: int) -> dict[str, str]:
    """Return what is given over the recipe for its `base_network`.

    The recipe freezes nothing where `use_pretrained_model` is given as 0: those layers would stay as they are drawn.
    Raises InvalidInputError where that is no 0 or 1.
    """
    network = given.get("base_network", "auto")
    chosen = recipe(algorithm, num_training_samples, network)
    pretrained = BUILT_IN["use_pretrained_model"]
    if pretrained.name in given and not pretrained.parse(given[pretrained.name]):
        chosen.pop("freeze_layer_pattern", None)
    return chosen | {name: value for name, value in given.items() if (name, value) != ("base_network", "auto")}
