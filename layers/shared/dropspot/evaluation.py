"""What held-out pictures say of a model: truth and predictions as they are written down, and the document of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropspot.scoring import Box, ClassScore, Detection, mean, score_class

SCHEMA = "dropspot/evaluation/1"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's scores; `classes` are the names in the order of their ids."""

    classes: tuple[str, ...]
    scores: tuple[ClassScore, ...]
    images: int

    @property
    def map50(self) -> float:
        """Mean AP@0.5, area under the curve; the gate's measure."""
        return mean([score.ap50 for score in self.scores])

    @property
    def map50_voc07(self) -> float:
        """Mean AP@0.5 at eleven recalls."""
        return mean([score.ap50_voc07 for score in self.scores])

    @property
    def boxes(self) -> int:
        return sum(score.boxes for score in self.scores)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "map50": self.map50,
            "map50_voc07": self.map50_voc07,
            "images": self.images,
            "boxes": self.boxes,
            "classes": [
                {
                    "class_id": score.class_id,
                    "name": self.classes[score.class_id],
                    "boxes": score.boxes,
                    "ap50": score.ap50,
                    "ap50_voc07": score.ap50_voc07,
                }
                for score in self.scores
            ],
        }


def score(
    classes: Sequence[str], truth: Mapping[str, Sequence[Box]], detections: Mapping[str, Sequence[Detection]]
) -> Evaluation:
    """Score every class over all pictures, given by name."""
    scores = tuple(score_class(class_id, truth, detections) for class_id in range(len(classes)))
    return Evaluation(tuple(classes), scores, len(truth))


def truth_in(document: Mapping[str, Any]) -> dict[str, list[Box]]:
    """Return the boxes of each picture that a truth.json, read, names."""
    return {name: [_box(box) for box in picture["boxes"]] for name, picture in document["images"].items()}


def detections_in(answer: Mapping[str, Any]) -> list[Detection]:
    """Return the detections of a model's answer to one picture, read.

    Rows of class id, score, xmin, ymin, xmax, ymax. Raises ValueError, KeyError or TypeError where it is no answer.
    """
    return [_detection(*map(float, row)) for row in answer["prediction"]]


def _box(box: Mapping[str, Any]) -> Box:
    return Box(
        box["class_id"], box["xmin"], box["ymin"], box["xmax"], box["ymax"], difficult=bool(box.get("difficult"))
    )


def _detection(class_id: float, score: float, xmin: float, ymin: float, xmax: float, ymax: float) -> Detection:
    return Detection(score, Box(int(class_id), xmin, ymin, xmax, ymax))
