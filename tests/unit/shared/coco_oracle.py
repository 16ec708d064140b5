"""pycocotools on the same pictures: the reference for COCO's measures, and its matches for the area under the curve."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dropspot.evaluation import HeldOutPicture
from dropspot.scoring import Box, Detection


def _rectangle(box: Box | Detection) -> list[float]:
    return [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin]


def coco_evaluation(
    classes: int, truth: Mapping[str, HeldOutPicture], detections: Mapping[str, Sequence[Detection]]
) -> COCOeval:
    """Return pycocotools' own evaluation, accumulated."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id, (name, picture) in enumerate(truth.items(), start=1):
        for box in picture.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": box.class_id + 1,
                    "bbox": _rectangle(box),
                    "area": box.area,
                    "iscrowd": int(box.difficult),
                }
            )
        for detection in detections.get(name, ()):
            results.append(
                {
                    "id": len(results) + 1,
                    "image_id": image_id,
                    "category_id": detection.class_id + 1,
                    "bbox": _rectangle(detection),
                    "area": detection.area,
                    "score": detection.score,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        true, found = COCO(), COCO()
        images = [{"id": image_id} for image_id in range(1, len(truth) + 1)]
        categories = [{"id": class_id + 1} for class_id in range(classes)]
        true.dataset = {"images": images, "categories": categories, "annotations": annotations}
        found.dataset = {"images": images, "categories": categories, "annotations": results}
        true.createIndex()
        found.createIndex()
        evaluation = COCOeval(true, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def average_precision(
    evaluation: COCOeval, class_id: int | None, size: int = 0, threshold: int | None = None
) -> float | None:
    """Return what `summarize` does, over all classes or for one; `size` and `threshold` are positions."""
    precision = evaluation.eval["precision"]  # overlaps, recalls, classes, sizes, numbers of detections
    some = precision[:, :, slice(None) if class_id is None else class_id, size, -1]
    some = some if threshold is None else some[threshold]
    known = some[some > -1]
    return float(known.mean()) if known.size else None


def area_under_curve(evaluation: COCOeval, class_id: int) -> float | None:
    """Return the all-point AP@0.5 of pycocotools' own matches."""
    images = len(evaluation.params.imgIds)
    found = [one for one in evaluation.evalImgs[class_id * 4 * images :][:images] if one is not None]
    boxes = sum(int(np.count_nonzero(np.logical_not(one["gtIgnore"]))) for one in found)
    if not boxes:
        return None
    scores = np.concatenate([one["dtScores"] for one in found])
    order = np.argsort(-scores, kind="mergesort")
    right = np.concatenate([one["dtMatches"][0] for one in found])[order] > 0
    counted = ~np.concatenate([one["dtIgnore"][0] for one in found])[order].astype(bool)
    true_positives = np.cumsum(right[counted])
    precision = true_positives / np.arange(1, len(true_positives) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0], true_positives])) * envelope) / boxes)
