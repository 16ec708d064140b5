"""The evaluation of a run: its Transform job's outputs scored against the held-out truth."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dropspot import documents
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import ObjectStore
from dropspot.runs import Run
from scoring import Box, ClassScore, Detection, mean, score_class

_READERS = 16  # concurrent reads; each waits for S3, none computes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the held-out pictures say of a model; `classes` are the names in the order of their ids."""

    classes: tuple[str, ...]
    scores: tuple[ClassScore, ...]
    images: int

    @property
    def map50(self) -> float:
        """Mean AP@0.5, area under the curve; the gate's measure."""
        return mean([score.ap50 for score in self.scores])

    @property
    def boxes(self) -> int:
        return sum(score.boxes for score in self.scores)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "schema": "dropspot/evaluation/1",
            "map50": self.map50,
            "map50_voc07": mean([score.ap50_voc07 for score in self.scores]),
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


def evaluate(store: ObjectStore, run: Run) -> Evaluation:
    """Score the run's Transform outputs; raise InvalidInputError where one is missing or no prediction."""
    classes = tuple(documents.read(store, run.key("prepared", "classes.json"))["classes"])
    truth = {
        name: [_truth_box(box) for box in picture["boxes"]]
        for name, picture in documents.read(store, run.key("prepared", "test", "truth.json"))["images"].items()
    }
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda name: _detections(store, run.key("evaluation", "raw", f"{name}.out")), truth)
        detections = dict(zip(truth, found, strict=True))
    return score(classes, truth, detections)


def score(
    classes: Sequence[str], truth: Mapping[str, Sequence[Box]], detections: Mapping[str, Sequence[Detection]]
) -> Evaluation:
    """Score every class."""
    scores = tuple(score_class(class_id, truth, detections) for class_id in range(len(classes)))
    return Evaluation(tuple(classes), scores, len(truth))


def _truth_box(box: Mapping[str, Any]) -> Box:
    return Box(
        box["class_id"], box["xmin"], box["ymin"], box["xmax"], box["ymax"], difficult=bool(box.get("difficult"))
    )


def _detection(class_id: float, score: float, xmin: float, ymin: float, xmax: float, ymax: float) -> Detection:
    return Detection(score, Box(int(class_id), xmin, ymin, xmax, ymax))


def _detections(store: ObjectStore, key: str) -> list[Detection]:
    try:
        rows = json.loads(store.read(key).body)["prediction"]
        return [_detection(*map(float, row)) for row in rows]
    except NotFoundError as error:
        raise InvalidInputError(f"the evaluation left no output for a held-out picture: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidInputError(f"s3://{store.bucket}/{key} is no prediction: {error!r}") from error
