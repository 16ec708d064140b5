"""Incremental training: beginning with the weights of the champion, where the algorithm can go on from them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropspot import documents
from dropspot.endpoint import CHAMPION
from dropspot.errors import NotFoundError
from dropspot.plan import DETECTOR
from dropspot.ports import Jobs, ObjectStore, Request
from dropspot.runs import Run
from dropspot.trainings import training_of


@dataclass(frozen=True, slots=True)
class Start:
    """What a training begins with: the model of another run, or, for the reason given, no earlier model."""

    run_id: str = ""
    model_data: str = ""
    reason: str = ""

    @property
    def document(self) -> dict[str, str]:
        """What train.json says of it."""
        if self.run_id:
            return {"from_run": self.run_id, "model_data": self.model_data}
        return {"from_run": "", "because": self.reason}

    @property
    def channels(self) -> list[Request]:
        """The channel `model`, in the only way that the built-in algorithm takes it; none without a model."""
        if not self.run_id:
            return []
        source = {"S3DataType": "S3Prefix", "S3Uri": self.model_data, "S3DataDistributionType": "FullyReplicated"}
        return [
            {
                "ChannelName": "model",
                "ContentType": "application/x-sagemaker-model",
                "CompressionType": "None",
                "InputMode": "File",
                "DataSource": {"S3DataSource": source},
            }
        ]


def start_of(run: Run, wanted: Mapping[str, Any], algorithm: str, store: ObjectStore, jobs: Jobs) -> Start:
    """Return the champion's model for the training that is `wanted` (a CreateTrainingJob), or why it can't be used.

    Both must have the same base network and the same classes in the same order; detector_container's also the same
    image_shape, on which its maps depend.
    """
    champion = documents.read_or_none(store, CHAMPION)
    if champion is None:
        return Start(reason="no model is in service yet")
    earlier = Run.from_id(run.app, champion["run_id"])
    model = f"the model in service ({earlier.run_id})"
    try:
        obstacle = _obstacle(run, earlier, wanted, algorithm, store)
        job = training_of(earlier, store, jobs)
    except NotFoundError as error:
        return Start(reason=f"how {model} was trained is unknown: {error}")
    if obstacle:
        return Start(reason=f"{model} {obstacle}")
    if not job.model_data or store.head(job.model_data.removeprefix(f"s3://{store.bucket}/")) is None:
        return Start(reason=f"the file of {model} is gone")
    return Start(earlier.run_id, job.model_data)


def _obstacle(run: Run, earlier: Run, wanted: Mapping[str, Any], algorithm: str, store: ObjectStore) -> str:
    """Return in what the two trainings differ that an earlier model must share, empty for nothing."""
    if earlier == run:
        return "is this run's own"
    trained = training_request_of(store, earlier)
    before, now = (_repository(each["AlgorithmSpecification"]["TrainingImage"]) for each in (trained, wanted))
    if before != now:
        return f"was trained by {before}, not by {now}"
    for name in ("base_network", "image_shape") if algorithm == DETECTOR else ("base_network",):
        before, now = (str(each["HyperParameters"].get(name, "")) for each in (trained, wanted))
        if before != now:
            return f"has {name} {before}, not {now}"
    labels = [documents.read(store, each.key("prepared", "classes.json"))["classes"] for each in (earlier, run)]
    return "" if labels[0] == labels[1] else "knows other classes"


def training_request_of(store: ObjectStore, run: Run) -> dict[str, Any]:
    """Return image and hyperparameters that a run was trained with; raise NotFoundError."""
    request = documents.read(store, run.key("train.json"))["request"]
    definition = request.get("TrainingJobDefinition", request)
    return {
        "AlgorithmSpecification": definition["AlgorithmSpecification"],
        "HyperParameters": definition.get("HyperParameters") or definition.get("StaticHyperParameters", {}),
    }


def _repository(image: str) -> str:
    return re.split("[:@]", image.rpartition("/")[2])[0]
