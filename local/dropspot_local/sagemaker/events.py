"""State-change events in the shapes that SageMaker documents, put on the default bus as the service itself would.

The documents differ by kind. Processing events carry enumerations in upper case, training and tuning events times as
texts of milliseconds, endpoint events the status in UPPER_SNAKE, model package events ISO times.
"""

# ruff: noqa: SLF001 - only _put_events may speak as aws.sagemaker

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge

from dropspot_local.sagemaker.state import Record

DETAIL_TYPES = {
    "processing": "SageMaker Processing Job State Change",
    "training": "SageMaker Training Job State Change",
    "tuning": "SageMaker HyperParameter Tuning Job State Change",
    "transform": "SageMaker Transform Job State Change",
    "endpoint": "SageMaker Endpoint State Change",
    "deployment": "SageMaker Endpoint Deployment State Change",
    "model-package": "SageMaker Model Package State Change",
}
_TIMES = ("CreationTime", "LastModifiedTime")
_PROCESSING = (
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingJobName",
    "ProcessingResources",
    "StoppingCondition",
    "AppSpecification",
    "Environment",
    "NetworkConfig",
    "RoleArn",
    "ExperimentConfig",
    "ProcessingJobArn",
    "ProcessingJobStatus",
    "FailureReason",
)
_TRAINING = (
    "TrainingJobName",
    "TrainingJobArn",
    "TrainingJobStatus",
    "SecondaryStatus",
    "FailureReason",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
)
_TUNING = (
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobArn",
    "TrainingJobDefinition",
    "HyperParameterTuningJobStatus",
    "FailureReason",
    "TrainingJobStatusCounters",
    "ObjectiveStatusCounters",
)
_TRANSFORM = (
    "TransformJobName",
    "TransformJobArn",
    "TransformJobStatus",
    "FailureReason",
    "ModelName",
    "MaxConcurrentTransforms",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput",
    "TransformResources",
    "DataProcessing",
)
_ENDPOINT = ("EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason")
_MODEL_PACKAGE = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
    "ModelLifeCycle",
)
_UPPER_CASE = ("S3DataType", "S3InputMode", "S3DataDistributionType", "S3UploadMode", "S3CompressionType")


def emit(kind: str, arn: str, detail: dict[str, Any]) -> None:
    """Put one event on the bus of the account and region of the current context."""
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": DETAIL_TYPES[kind],
        "Detail": json.dumps(detail),
        "Resources": [arn],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def processing_detail(record: Record) -> dict[str, Any]:
    """The detail of a processing job's event."""
    detail = {name: _upper_cased(record[name]) for name in _PROCESSING if name in record}
    times = ("ProcessingStartTime", "ProcessingEndTime", *_TIMES)
    return detail | {name: milliseconds(record[name]) for name in times if name in record}


def training_detail(record: Record) -> dict[str, Any]:
    """The detail of a training job's event."""
    detail = {name: record[name] for name in _TRAINING if name in record}
    detail["HyperParameters"] = record.get("HyperParameters", {})
    detail["VpcConfig"] = record.get("VpcConfig", {})
    times = ("TrainingStartTime", "TrainingEndTime", *_TIMES)
    detail |= {name: str(milliseconds(record[name])) for name in times if name in record}
    detail["SecondaryStatusTransitions"] = [
        {name: milliseconds(value) if name.endswith("Time") else value for name, value in transition.items()}
        for transition in record["SecondaryStatusTransitions"]
    ]
    return detail | {"Tags": {}}


def tuning_detail(record: Record) -> dict[str, Any]:
    """The detail of a tuning job's event. It tells nothing of the best training job."""
    detail = {name: record[name] for name in _TUNING if name in record}
    return detail | {name: str(milliseconds(record[name])) for name in _TIMES} | {"Tags": {}}


def transform_detail(record: Record) -> dict[str, Any]:
    """The detail of a transform job's event."""
    detail = {name: record[name] for name in _TRANSFORM if name in record}
    times = ("TransformStartTime", "TransformEndTime", *_TIMES)
    return detail | {name: milliseconds(record[name]) for name in times if name in record} | {"Tags": {}}


def endpoint_detail(record: Record) -> dict[str, Any]:
    """The detail of an endpoint's event; its status is spelt IN_SERVICE where the API says InService."""
    detail = {name: record[name] for name in _ENDPOINT if name in record}
    detail["ProductionVariants"] = [
        {"DesiredWeight": variant["DesiredWeight"], "DesiredInstanceCount": variant["DesiredInstanceCount"]}
        for variant in record.get("ProductionVariants", [])
    ]
    detail["EndpointStatus"] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record["EndpointStatus"]).upper()
    return detail | {name: float(milliseconds(record[name])) for name in _TIMES} | {"Tags": {}}


def deployment_detail(record: Record) -> dict[str, Any]:
    """The detail of a deployment's event: the endpoint as it is, and the fleet that is on its way in."""
    summary = record["PendingDeploymentSummary"]
    variants = [
        variant
        | {
            "VariantStatus": [
                status | {"StartTime": milliseconds(status["StartTime"])} for status in variant["VariantStatus"]
            ]
        }
        for variant in summary["ProductionVariants"]
    ]
    return endpoint_detail(record) | {
        "ProductionVariants": record.get("ProductionVariants", []),
        "PendingDeploymentSummary": summary
        | {"StartTime": milliseconds(summary["StartTime"]), "ProductionVariants": variants},
    }


def model_package_detail(record: Record) -> dict[str, Any]:
    """The detail of a model package's event; what an update changed is added as UpdatedModelPackageFields."""
    detail = {name: record[name] for name in _MODEL_PACKAGE if name in record}
    return detail | {name: datetime.fromtimestamp(record[name], UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for name in _TIMES}


def milliseconds(seconds: float) -> int:
    """A time of a record, in seconds since 1970, as events carry it."""
    return round(seconds * 1000)


def _upper_cased(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: item.upper() if name in _UPPER_CASE and isinstance(item, str) else _upper_cased(item)
            for name, item in value.items()
        }
    return [_upper_cased(item) for item in value] if isinstance(value, list) else value
