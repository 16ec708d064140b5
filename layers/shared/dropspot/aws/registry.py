"""The model registry on SageMaker: the versions of a model package group."""

from typing import Any

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import code_of, is_missing, message_of, translated
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import RUN_ID, ModelPackage, Request


class SageMakerRegistry:
    """SageMaker's model packages."""

    def register(self, request: Request) -> str:
        return str(self._call("create_model_package", request)["ModelPackageArn"])

    def find(self, group: str, description: str) -> str | None:
        pages = (
            client("sagemaker")
            .get_paginator("list_model_packages")
            .paginate(ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending")
        )
        try:
            for page in pages:
                for package in page["ModelPackageSummaryList"]:
                    if package.get("ModelPackageDescription") == description:
                        return str(package["ModelPackageArn"])
        except ClientError as error:
            raise translated(error, f"list the model packages of {group}") from error
        return None

    def package(self, arn: str) -> ModelPackage:
        answer = self._call("describe_model_package", {"ModelPackageName": arn})
        return ModelPackage(
            arn=arn,
            approval=answer["ModelApprovalStatus"],
            run_id=answer.get("CustomerMetadataProperties", {}).get(RUN_ID, ""),
            note=answer.get("ApprovalDescription", ""),
        )

    def decide(self, arn: str, approval: str, note: str = "") -> None:
        request = {"ModelPackageArn": arn, "ModelApprovalStatus": approval}
        self._call("update_model_package", request | ({"ApprovalDescription": note} if note else {}))

    @staticmethod
    def _call(operation: str, request: Request) -> Any:
        attempt = f"{operation} {request.get('ModelPackageArn') or request.get('ModelPackageName') or ''}".rstrip()
        try:
            return getattr(client("sagemaker"), operation)(**request)
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"{attempt}: {message_of(error)}") from error
            if code_of(error) in {"ValidationException", "ResourceLimitExceeded"}:
                raise InvalidInputError(f"SageMaker refused {attempt}: {message_of(error)}") from error
            raise translated(error, attempt) from error
