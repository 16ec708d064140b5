"""Application Auto Scaling of SageMaker's variants."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import code_of, message_of, translated
from dropspot.errors import InvalidInputError
from dropspot.ports import Request


class ApplicationScaling:
    """Application Auto Scaling of SageMaker's variants."""

    _NAMESPACE = "sagemaker"

    def is_in_force(self, target: Request, policy: Request) -> bool:
        targets = client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace=self._NAMESPACE, ResourceIds=[target["ResourceId"]]
        )["ScalableTargets"]
        if not any(_says(found, target) for found in targets):
            return False
        policies = client("application-autoscaling").describe_scaling_policies(
            ServiceNamespace=self._NAMESPACE, ResourceId=policy["ResourceId"], PolicyNames=[policy["PolicyName"]]
        )["ScalingPolicies"]
        return any(_says(found, policy) for found in policies)

    def register(self, target: Request) -> None:
        self._call("register_scalable_target", target)

    def put_policy(self, request: Request) -> str:
        return str(self._call("put_scaling_policy", request)["PolicyARN"])

    def deregister(self, resource_id: str) -> None:
        try:
            client("application-autoscaling").deregister_scalable_target(
                ServiceNamespace=self._NAMESPACE,
                ResourceId=resource_id,
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            )
        except ClientError as error:
            if code_of(error) != "ObjectNotFoundException":
                raise translated(error, f"deregister {resource_id}") from error

    def _call(self, operation: str, request: Request) -> Mapping[str, Any]:
        attempt = f"{operation} of {request['ResourceId']}"
        try:
            answer: Mapping[str, Any] = getattr(client("application-autoscaling"), operation)(**request)
        except ClientError as error:
            if code_of(error) in {"ValidationException", "LimitExceededException", "FailedResourceAccessException"}:
                raise InvalidInputError(
                    f"Application Auto Scaling refused to {attempt}: {message_of(error)}"
                ) from error
            raise translated(error, attempt) from error
        return answer


def _says(found: Mapping[str, Any], wanted: Request) -> bool:
    """Tell whether what was found is what was asked for; the service adds more, at any depth."""
    return all(
        _says(found.get(name) or {}, value) if isinstance(value, dict) else found.get(name) == value
        for name, value in wanted.items()
    )
