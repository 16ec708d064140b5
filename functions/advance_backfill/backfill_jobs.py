"""The three jobs of a backfill's part, as SageMaker is asked for them."""

from collections.abc import Mapping
from typing import Any, Protocol

from dropspot.backfills import HARVEST, LOOK, SNIFF, Part
from dropspot.ports import Request
from dropspot.runs import Run

_INPUT, _OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"
_SPARE_GIGABYTES = 10  # on the volume, beside the pictures


class JobSettings(Protocol):
    """The part of the function's settings that the requests depend on."""

    @property
    def bucket_name(self) -> str: ...
    @property
    def prep_image(self) -> str: ...
    @property
    def prep_instance_type(self) -> str: ...
    @property
    def evaluation_instance_type(self) -> str: ...
    @property
    def sagemaker_role_arn(self) -> str: ...


def sniff_request(part: Part, size: int, settings: JobSettings) -> Request:
    """Return CreateProcessingJob's arguments: find the pictures that go to the model as they are. `size` in bytes."""
    inputs = {
        "images": (part.key("manifest.json"), "ManifestFile"),
        "listing": (part.key("listing.jsonl"), "S3Prefix"),
    }
    return _processing_request(part, SNIFF, inputs, "sniffed", size // 10**9 + 1, settings)


def harvest_request(part: Part, settings: JobSettings) -> Request:
    """Return CreateProcessingJob's arguments: turn the model's answers into documents."""
    inputs = {
        "raw": (part.key("raw") + "/", "S3Prefix"),
        "sniffed": (part.key("sniffed") + "/", "S3Prefix"),
        "model": (part.backfill.key("model.json"), "S3Prefix"),
    }
    return _processing_request(part, HARVEST, inputs, "documents", 0, settings)


def _processing_request(
    part: Part, task: str, inputs: Mapping[str, tuple[str, str]], output: str, gigabytes: int, settings: JobSettings
) -> Request:
    bucket = f"s3://{settings.bucket_name}"
    return {
        "ProcessingJobName": part.job(task),
        "RoleArn": settings.sagemaker_role_arn,
        "AppSpecification": {"ImageUri": settings.prep_image},
        "Environment": {"DROPSPOT_TASK": task, "DROPSPOT_BUCKET": settings.bucket_name},
        "ProcessingInputs": [
            {
                "InputName": name,
                "S3Input": {
                    "S3Uri": f"{bucket}/{key}",
                    "LocalPath": f"{_INPUT}/{name}",
                    "S3DataType": kind,
                    "S3InputMode": "File",
                    "S3DataDistributionType": "FullyReplicated",
                },
            }
            for name, (key, kind) in inputs.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": output,
                    "S3Output": {
                        "S3Uri": f"{bucket}/{part.key(output)}",
                        "LocalPath": f"{_OUTPUT}/{output}",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": settings.prep_instance_type,
                "VolumeSizeInGB": _SPARE_GIGABYTES + gigabytes,
            }
        },
        # Untrusted pictures are read here: the container needs no network and gets none.
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "StoppingCondition": {"MaxRuntimeInSeconds": 21_600},
        "Tags": _tags(part),
    }


def look_request(part: Part, run: Run, instances: int, settings: JobSettings) -> Request:
    """Return CreateTransformJob's arguments: one output `raw/<key>.out` for each picture of the manifest."""
    bucket = f"s3://{settings.bucket_name}"
    manifest = {"S3DataType": "ManifestFile", "S3Uri": f"{bucket}/{part.key('sniffed', 'manifest.json')}"}
    return {
        "TransformJobName": part.job(LOOK),
        "ModelName": run.model,
        "MaxPayloadInMB": 6,
        "BatchStrategy": "SingleRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": manifest},
            "ContentType": "application/x-image",
            "CompressionType": "None",
            "SplitType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"{bucket}/{part.key('raw')}",
            "Accept": "application/json",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": settings.evaluation_instance_type, "InstanceCount": instances},
        "Tags": _tags(part),
    }


def _tags(part: Part) -> list[dict[str, str]]:
    backfill: dict[str, Any] = {"dropspot:app": part.backfill.app, "dropspot:backfill": part.backfill.backfill_id}
    return [{"Key": key, "Value": value} for key, value in backfill.items()]
