"""The requests that put a run's model behind the endpoint."""

from collections.abc import Sequence
from typing import Protocol

from dropspot.answering import variant_of
from dropspot.awaiting import answers_prefix
from dropspot.ports import Request
from dropspot.preparation import tags
from dropspot.runs import Run


class ModelSettings(Protocol):
    """The part of a function's settings that the model depends on."""

    @property
    def training_image(self) -> str: ...
    @property
    def sagemaker_role_arn(self) -> str: ...
    @property
    def model_subnets(self) -> tuple[str, ...]: ...
    @property
    def model_security_groups(self) -> tuple[str, ...]: ...


class EndpointSettings(Protocol):
    """The part of a function's settings that the endpoint config depends on."""

    @property
    def endpoint_instance_type(self) -> str: ...
    @property
    def endpoint_instance_count(self) -> int: ...
    @property
    def endpoint_kms_key(self) -> str: ...
    @property
    def bucket_name(self) -> str: ...
    @property
    def inference_topic(self) -> str: ...


def model_request(run: Run, dataset: str, model_data: str, settings: ModelSettings) -> Request:
    """Return CreateModel's arguments: the image that trained serves, too, and is told whose model it serves."""
    container = {
        "Image": settings.training_image,
        "ModelDataUrl": model_data,
        "Environment": {"DROPSPOT_RUN_ID": run.run_id},
    }
    network = {"Subnets": list(settings.model_subnets), "SecurityGroupIds": list(settings.model_security_groups)}
    return {
        "ModelName": run.model,
        "PrimaryContainer": container,
        "ExecutionRoleArn": settings.sagemaker_role_arn,
        "Tags": tags(run, dataset),
    } | ({"VpcConfig": network} if settings.model_subnets else {})


def endpoint_config_request(run: Run, dataset: str, classes: Sequence[str], settings: EndpointSettings) -> Request:
    """Return CreateEndpointConfig's arguments, with one production variant."""
    return {
        "EndpointConfigName": run.endpoint_config,
        "ProductionVariants": [
            {
                "VariantName": variant_of(classes),
                "ModelName": run.model,
                "InitialInstanceCount": settings.endpoint_instance_count,
                "InstanceType": settings.endpoint_instance_type,
                "InitialVariantWeight": 1.0,
            }
        ],
        "Tags": tags(run, dataset),
        **({"KmsKeyId": settings.endpoint_kms_key} if settings.endpoint_kms_key else {}),
        **(asynchronous(run, settings.bucket_name, settings.inference_topic) if settings.inference_topic else {}),
    }


def asynchronous(run: Run, bucket: str, topic: str) -> Request:
    """Return what makes an endpoint config asynchronous: answers go to the run's own place, and are told of."""
    output = {
        "S3OutputPath": f"s3://{bucket}/{answers_prefix(run)}",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
    }
    return {"AsyncInferenceConfig": {"OutputConfig": output}}
