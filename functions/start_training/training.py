"""The Training job of a run: hyperparameters, channels, resources."""

from typing import Protocol

from channels import input_data_config
from crosschecks import check
from dropspot.algorithm_metrics import METRICS
from dropspot.plan import DETECTOR, TrainingPlan
from dropspot.ports import Request
from dropspot.preparation import tags
from dropspot.prepared import Prepared, hyperparameters_for
from dropspot.runs import Run


class TrainingSettings(Protocol):
    """The part of the function's settings that the request depends on."""

    @property
    def bucket_name(self) -> str: ...
    @property
    def training_image(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def sagemaker_role_arn(self) -> str: ...
    @property
    def cost_centre(self) -> str: ...


def metric_definitions(algorithm: str) -> Request:
    """Return what reads the metrics from the log of detector_container; the built-in refuses to be told."""
    if algorithm != DETECTOR:
        return {}
    return {"MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in METRICS.items()]}


def training_tags(run: Run, dataset: str, prepared: Prepared, cost_centre: str) -> list[dict[str, str]]:
    """Return the tags of what costs most: whose run it is, of which data, and who pays."""
    own = {"dropspot:digest": prepared.digest, "CostCentre": cost_centre}
    return tags(run, dataset) + [{"Key": key, "Value": value} for key, value in own.items() if value]


def training_job_request(
    run: Run, dataset: str, plan: TrainingPlan, prepared: Prepared, settings: TrainingSettings
) -> Request:
    """Return CreateTrainingJob's arguments; raise InvalidInputError for hyperparameters or channels that can't be."""
    values = hyperparameters_for(plan, prepared, settings.algorithm)
    check(values, plan, prepared, settings.algorithm)
    base = f"s3://{settings.bucket_name}"
    stopping = {"MaxRuntimeInSeconds": plan.max_runtime_seconds}
    if plan.spot:
        stopping["MaxWaitTimeInSeconds"] = plan.max_runtime_seconds * 2
    return {
        "TrainingJobName": run.training_job,
        "RoleArn": settings.sagemaker_role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": settings.training_image,
            "TrainingInputMode": plan.input_mode,
            **metric_definitions(settings.algorithm),
        },
        "HyperParameters": values,
        "InputDataConfig": input_data_config(run, settings.bucket_name, plan, prepared.output),
        "OutputDataConfig": {"S3OutputPath": f"{base}/{run.key('model')}/"},
        "ResourceConfig": {
            "InstanceType": plan.instance.type,
            "InstanceCount": plan.instance.count,
            "VolumeSizeInGB": 100,
        },
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": plan.spot,
        "CheckpointConfig": {"S3Uri": f"{base}/{run.key('checkpoints')}/"},
        "Tags": training_tags(run, dataset, prepared, settings.cost_centre),
    }
