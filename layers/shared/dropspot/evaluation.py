"""What held-out pictures say of a model: truth and predictions as they are written down, and the document of scores."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropspot.coco_scoring import ALL, SIZES, CocoScore, coco_scores
from dropspot.confusion import Outcome, confusion, outcome
from dropspot.predictions import are_finite
from dropspot.scoring import OVERLAP, Box, Curve, Detection, mean, scenes_by_class

SCHEMA = "dropspot/evaluation/1"
# From this score on detections of a class count as seen where the held-out pictures offer no better threshold.
UNMEASURED_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class HeldOutPicture:
    """A held-out picture and its true boxes; everything in pixels of the upright picture that the model is given."""

    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """What is measured of one class; `coco` by the names of SIZES."""

    class_id: int
    label: str
    curve: Curve
    coco: Mapping[str, CocoScore]

    @property
    def document(self) -> dict[str, Any]:
        best = self.curve.best
        return {
            "class_id": self.class_id,
            "label": self.label,
            "boxes": self.curve.boxes,
            "ap50": self.curve.ap,
            "ap50_voc07": self.curve.ap_voc07,
            "ap": self.coco[ALL].ap,
            "best_f1": best._asdict() if best else None,
            "sizes": {size: {"boxes": s.boxes, "ap": s.ap} for size, s in self.coco.items() if size != ALL},
            "curve": [
                [round(recall / 100, 2), round(precision, 4), round(score, 4)]
                for recall, (precision, score) in enumerate(self.curve.points)
            ],
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's scores; `classes` in the order of their ids, `outcomes` by picture at each class's best threshold."""

    classes: tuple[ClassScore, ...]
    outcomes: Mapping[str, Outcome]

    @property
    def images(self) -> int:
        return len(self.outcomes)

    @property
    def boxes(self) -> int:
        return sum(one.curve.boxes for one in self.classes)

    @property
    def map50(self) -> float:
        """Mean AP@0.5, area under the curve; the gate's measure. 0 where there is nothing to measure."""
        return mean(one.curve.ap for one in self.classes) or 0.0

    @property
    def map50_voc07(self) -> float:
        """Mean AP@0.5 at eleven recalls."""
        return mean(one.curve.ap_voc07 for one in self.classes) or 0.0

    def coco(self, size: str = ALL, threshold: float | None = None) -> float | None:
        """Return COCO's mean AP, over all overlaps or at one; None where no box is of the size."""
        scores = [one.coco[size] for one in self.classes]
        return mean(one.ap if threshold is None else one.at(threshold) for one in scores)

    @property
    def confusion(self) -> Counter[tuple[int | None, int | None]]:
        return confusion(self.outcomes)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "images": self.images,
            "boxes": self.boxes,
            "map50": self.map50,
            "map50_voc07": self.map50_voc07,
            "coco": {"map": self.coco(), "map50": self.coco(threshold=0.5), "map75": self.coco(threshold=0.75)},
            "sizes": {
                size: {"boxes": sum(one.coco[size].boxes for one in self.classes), "map": self.coco(size)}
                for size in SIZES
                if size != ALL
            },
            "classes": [one.document for one in self.classes],
            "confusion": {
                "overlap": OVERLAP,
                "cells": [
                    {"truth": truth, "detected": detected, "count": count}
                    for (truth, detected), count in sorted(self.confusion.items(), key=_cell_order)
                ],
            },
        }


def _cell_order(cell: tuple[tuple[int | None, int | None], int]) -> tuple[float, float]:
    truth, detected = cell[0]
    return (float("inf") if truth is None else truth, float("inf") if detected is None else detected)


def score(
    labels: Sequence[str], truth: Mapping[str, HeldOutPicture], detections: Mapping[str, Sequence[Detection]]
) -> Evaluation:
    """Score every class, `labels` in the order of their ids, over all pictures, given by name.

    Detections of a class id that has no label are left out.
    """
    known = {name: [d for d in detections.get(name, ()) if 0 <= d.class_id < len(labels)] for name in truth}
    scenes = scenes_by_class({name: picture.boxes for name, picture in truth.items()}, known)
    classes = tuple(
        ClassScore(class_id, label, Curve.of(scenes.get(class_id, ())), coco_scores(scenes.get(class_id, ())))
        for class_id, label in enumerate(labels)
    )
    thresholds = [best.threshold if (best := one.curve.best) else UNMEASURED_THRESHOLD for one in classes]
    outcomes = {name: outcome(picture.boxes, known[name], thresholds) for name, picture in truth.items()}
    return Evaluation(classes, outcomes)


def truth_in(document: Mapping[str, Any]) -> dict[str, HeldOutPicture]:
    """Return the pictures that a truth.json, read, names, with their boxes."""
    return {
        name: HeldOutPicture(
            picture["width"],
            picture["height"],
            tuple(
                Box(
                    box["class_id"],
                    *_pixels(box["xmin"], box["ymin"], box["xmax"], box["ymax"], picture["width"], picture["height"]),
                    difficult=bool(box.get("difficult")),
                )
                for box in picture["boxes"]
            ),
        )
        for name, picture in document["images"].items()
    }


def detections_in(answer: Mapping[str, Any], picture: HeldOutPicture) -> list[Detection]:
    """Return the detections of a model's answer, read, to the picture.

    Rows of class id, score, xmin, ymin, xmax, ymax. Raises ValueError, KeyError or TypeError where it is no answer.
    """
    width, height = picture.width, picture.height
    if not all(are_finite(row) for row in answer["prediction"]):
        raise ValueError("it has numbers that are none")
    return [
        Detection(
            float(score), int(class_id), *_pixels(float(xmin), float(ymin), float(xmax), float(ymax), width, height)
        )
        for class_id, score, xmin, ymin, xmax, ymax in answer["prediction"]
    ]


def _pixels(
    xmin: float, ymin: float, xmax: float, ymax: float, width: int, height: int
) -> tuple[float, float, float, float]:
    # A millionth of a pixel is nothing, and a box of whole pixels is whole again after its way through fractions: an
    # overlap of exactly a half stays one.
    return round(xmin * width, 6), round(ymin * height, 6), round(xmax * width, 6), round(ymax * height, 6)
