"""The held-out pictures of a run, and what a model's Transform job has answered to each of them."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dropspot import documents
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.evaluation import HeldOutPicture, detections_in, truth_in
from dropspot.ports import ObjectStore
from dropspot.runs import Run
from dropspot.scoring import Detection

_READERS = 16  # concurrent reads; each waits for S3, none computes


def held_out_pictures(store: ObjectStore, run: Run) -> dict[str, HeldOutPicture]:
    """Return the run's held-out pictures by name."""
    return truth_in(documents.read(store, run.key("prepared", "test", "truth.json")))


def detections_of(
    store: ObjectStore, run: Run, outputs: str, truth: Mapping[str, HeldOutPicture]
) -> dict[str, list[Detection]]:
    """Return the answers below `evaluation/<outputs>/`; raise InvalidInputError where one is missing or no answer."""
    keys = (run.key("evaluation", outputs, f"{name}.out") for name in truth)
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(truth, pool.map(partial(_detections, store), keys, truth.values()), strict=True))


def _detections(store: ObjectStore, key: str, picture: HeldOutPicture) -> list[Detection]:
    try:
        return detections_in(json.loads(store.read(key).body), picture)
    except NotFoundError as error:
        raise InvalidInputError(f"the evaluation left no output for a held-out picture: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidInputError(f"s3://{store.bucket}/{key} is no prediction: {error!r}") from error
