"""SageMaker's models, endpoint configs and endpoints."""

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import code_of, is_missing, message_of, translated
from dropspot.errors import InvalidInputError
from dropspot.ports import Endpoint, Request


class SageMakerHosting:
    """SageMaker's models, endpoint configs and endpoints."""

    def _call(self, operation: str, request: Request, *, settled: tuple[str, ...] = ()) -> None:
        """Call the operation; an error whose message has one of the `settled` words says that it is done already."""
        try:
            getattr(client("sagemaker"), operation)(**request)
        except ClientError as error:
            if code_of(error) == "ValidationException" and any(word in message_of(error).lower() for word in settled):
                return
            if code_of(error) in {"ValidationException", "ResourceLimitExceeded"}:
                raise InvalidInputError(f"SageMaker refused {operation}: {message_of(error)}") from error
            raise translated(error, operation) from error

    def create_model(self, request: Request) -> None:
        self._call("create_model", request, settled=("already exist",))

    def create_endpoint_config(self, request: Request) -> None:
        self._call("create_endpoint_config", request, settled=("already exist",))

    def endpoint(self, name: str) -> Endpoint | None:
        try:
            answer = client("sagemaker").describe_endpoint(EndpointName=name)
        except ClientError as error:
            if is_missing(error):
                return None
            raise translated(error, f"describe endpoint {name}") from error
        return Endpoint(
            status=answer["EndpointStatus"],
            config=answer.get("EndpointConfigName", ""),
            modified=answer["LastModifiedTime"],
            reason=answer.get("FailureReason", ""),
            variant=next((variant["VariantName"] for variant in answer.get("ProductionVariants", [])), ""),
            pending=answer.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
            is_asynchronous="AsyncInferenceConfig" in answer,
        )

    def endpoint_config(self, name: str) -> Request | None:
        try:
            answer = client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
        except ClientError as error:
            if is_missing(error):
                return None
            raise translated(error, f"describe endpoint config {name}") from error
        stated = ("EndpointConfigName", "ProductionVariants", "KmsKeyId", "AsyncInferenceConfig")
        return {key: answer[key] for key in stated if key in answer}

    def create_endpoint(self, request: Request) -> None:
        self._call("create_endpoint", request)

    def update_endpoint(self, request: Request) -> None:
        self._call("update_endpoint", request)

    def delete_endpoint(self, name: str) -> None:
        self._call("delete_endpoint", {"EndpointName": name}, settled=("not find",))

    def endpoint_configs(self, prefix: str) -> list[str]:
        return self._names("list_endpoint_configs", "EndpointConfig", prefix)

    def model_names(self, prefix: str) -> list[str]:
        return self._names("list_models", "Model", prefix)

    def _names(self, operation: str, kind: str, prefix: str) -> list[str]:
        pages = (
            client("sagemaker")
            .get_paginator(operation)
            .paginate(SortBy="CreationTime", SortOrder="Ascending", NameContains=prefix)
        )
        names = [item[f"{kind}Name"] for page in pages for item in page[f"{kind}s"]]
        return [name for name in names if name.startswith(prefix)]

    def delete_endpoint_config(self, name: str) -> None:
        self._call("delete_endpoint_config", {"EndpointConfigName": name}, settled=("not find",))

    def delete_model(self, name: str) -> None:
        self._call("delete_model", {"ModelName": name}, settled=("not find",))
