"""The evaluation of a run: its Transform job's outputs scored against the held-out truth."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dropspot import documents
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.evaluation import Evaluation, HeldOutPicture, detections_in, score, truth_in
from dropspot.ports import ObjectStore
from dropspot.runs import Run
from dropspot.scoring import Detection

_READERS = 16  # concurrent reads; each waits for S3, none computes


def evaluate(store: ObjectStore, run: Run) -> Evaluation:
    """Score the run's Transform outputs; raise InvalidInputError where one is missing or no prediction."""
    classes = tuple(documents.read(store, run.key("prepared", "classes.json"))["classes"])
    truth = truth_in(documents.read(store, run.key("prepared", "test", "truth.json")))
    with ThreadPoolExecutor(_READERS) as pool:
        keys = (run.key("evaluation", "raw", f"{name}.out") for name in truth)
        found = pool.map(partial(_detections, store), keys, truth.values())
        detections = dict(zip(truth, found, strict=True))
    return score(classes, truth, detections)


def _detections(store: ObjectStore, key: str, picture: HeldOutPicture) -> list[Detection]:
    try:
        return detections_in(json.loads(store.read(key).body), picture)
    except NotFoundError as error:
        raise InvalidInputError(f"the evaluation left no output for a held-out picture: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidInputError(f"s3://{store.bucket}/{key} is no prediction: {error!r}") from error
