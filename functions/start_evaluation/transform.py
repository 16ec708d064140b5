"""The Transform job that runs the held-out pictures through a run's model."""

from typing import Protocol

from dropspot.ports import Request
from dropspot.preparation import tags
from dropspot.runs import Run


class EvaluationSettings(Protocol):
    """The part of the function's settings that the request depends on."""

    @property
    def bucket_name(self) -> str: ...
    @property
    def evaluation_instance_type(self) -> str: ...


def transform_job_request(run: Run, dataset: str, settings: EvaluationSettings) -> Request:
    """Return CreateTransformJob's arguments: one output `<picture>.out` for each held-out picture."""
    return _over_held_out(run, run.transform_job, run.model, "raw", dataset, settings)


def champion_transform_job_request(run: Run, champion: Run, dataset: str, settings: EvaluationSettings) -> Request:
    """Return the same for the champion's model, over the candidate's pictures."""
    return _over_held_out(run, run.champion_transform_job, champion.model, "champion-raw", dataset, settings)


def _over_held_out(
    run: Run, name: str, model: str, outputs: str, dataset: str, settings: EvaluationSettings
) -> Request:
    bucket = f"s3://{settings.bucket_name}"
    return {
        "TransformJobName": name,
        "ModelName": model,
        "MaxPayloadInMB": 6,
        "BatchStrategy": "SingleRecord",
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"{bucket}/{run.key('prepared', 'test', 'images')}/",
                }
            },
            "ContentType": "application/x-image",
            "CompressionType": "None",
            "SplitType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"{bucket}/{run.key('evaluation', outputs)}",
            "Accept": "application/json",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": settings.evaluation_instance_type, "InstanceCount": 1},
        "Tags": tags(run, dataset),
    }
