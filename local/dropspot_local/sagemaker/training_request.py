"""CreateTrainingJob's request: what is checked beyond the service's model, the record that it becomes, its channels."""

from __future__ import annotations

import time

from dropspot_local.images import BUILT_IN_IMAGE
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.state import Record, Site

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
PIPE = "Pipe"
"""The input mode of channels that are streamed; File and FastFile bring the same files before training starts."""
_REQUIRED = ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition")
"""Optional in the model, since jobs without instances came up; every other job needs them."""
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Interrupted": "Training job interrupted: its spot capacity was taken away",
    "MaxWaitTimeExceeded": "Training job exceeded the MaxWaitTimeInSeconds provided",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def check(request: Record) -> None:
    """What the service checks beyond its model, and what is not implemented here."""
    for member in _REQUIRED:
        if member not in request:
            raise validation(f"Invalid request: {member} must be given")
    channels = request.get("InputDataConfig", [])
    if not all("S3DataSource" in channel["DataSource"] for channel in channels):
        raise validation("Invalid InputDataConfig: a channel's DataSource must have an S3DataSource")
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) != len(names):
        raise validation(f"Duplicate channel names found in the request: {names}")
    algorithm = request["AlgorithmSpecification"]
    image = algorithm.get("TrainingImage")
    if not image:
        raise validation("Invalid AlgorithmSpecification: one of TrainingImage or AlgorithmName must be given")
    if BUILT_IN_IMAGE.fullmatch(image) and algorithm.get("MetricDefinitions"):
        raise validation(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry the request "
            "without specifying metric definitions."
        )
    for channel in channels:
        _check_channel(channel, input_mode(request, channel))
    stopping = request["StoppingCondition"]
    spot, longest = request.get("EnableManagedSpotTraining", False), stopping.get("MaxWaitTimeInSeconds")
    if spot and (longest is None or longest < stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)):
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds when "
            "EnableManagedSpotTraining is true"
        )
    if longest is not None and not spot:
        raise validation("MaxWaitTimeInSeconds above 0 is not allowed when EnableManagedSpotTraining is false")


def input_mode(request: Record, channel: Record) -> str:
    """A channel's input mode: its own, or the job's."""
    return str(channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"])


def _check_channel(channel: Record, mode: str) -> None:
    """What Channel and S3DataSource say of input modes, wrapping and augmented manifests."""
    name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
    augmented = source["S3DataType"] == "AugmentedManifestFile"
    if augmented and mode != PIPE:
        raise validation(
            f"Invalid InputDataConfig: AugmentedManifestFile can only be used in input mode Pipe, and channel {name} "
            f"has {mode}"
        )
    if augmented != bool(source.get("AttributeNames")):
        raise validation(
            f"Invalid InputDataConfig: channel {name} must have AttributeNames if, and only if, its S3DataType is "
            "AugmentedManifestFile"
        )
    if channel.get("RecordWrapperType", "None") != "None" and mode != PIPE:
        raise validation(
            f"Invalid InputDataConfig: RecordWrapperType must be None in input mode {mode}, and channel {name} has "
            f"{channel['RecordWrapperType']}"
        )


def new_record(site: Site, request: Record) -> Record:
    """The record of a job that has just been asked for."""
    now = time.time()
    kept = {name: value for name, value in request.items() if name != "Tags"}
    return {
        **kept,
        "TrainingJobArn": site.arn("training-job", request["TrainingJobName"]),
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "CreationTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": now, "StatusMessage": MESSAGES["Starting"]}],
    }


def channel_document(channel: Record, mode: str) -> dict[str, str]:
    """A channel as inputdataconfig.json tells the container of it."""
    source = channel["DataSource"]["S3DataSource"]
    document = {
        "TrainingInputMode": "File" if mode == "FastFile" else mode,  # the container can't tell them apart
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return document | {"ContentType": channel["ContentType"]} if "ContentType" in channel else document
