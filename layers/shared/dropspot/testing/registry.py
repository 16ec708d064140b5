"""The model registry in memory."""

from dataclasses import replace

from dropspot.errors import NotFoundError
from dropspot.ports import PENDING, RUN_ID, ModelPackage, Request
from dropspot.service_models import assert_valid_request


class MemoryRegistry:
    """The model registry; `decided` are the packages that were approved or rejected, an entry for each time."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}  # by ARN, in the order of their creation
        self.decided: list[str] = []
        self._packages: dict[str, ModelPackage] = {}
        self._by_token: dict[str, str] = {}

    def register(self, request: Request) -> str:
        assert_valid_request("sagemaker", "CreateModelPackage", request)
        group, token = request["ModelPackageGroupName"], request.get("ClientToken")
        if token in self._by_token:
            return self._by_token[token]
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{group}/{len(self.requests) + 1}"
        self.requests[arn] = request
        run_id = request.get("CustomerMetadataProperties", {}).get(RUN_ID, "")
        self._packages[arn] = ModelPackage(arn, request.get("ModelApprovalStatus", PENDING), run_id)
        if token:
            self._by_token[token] = arn
        return arn

    def find(self, group: str, description: str) -> str | None:
        for arn, request in reversed(self.requests.items()):
            if (request["ModelPackageGroupName"], request.get("ModelPackageDescription")) == (group, description):
                return arn
        return None

    def package(self, arn: str) -> ModelPackage:
        if arn not in self._packages:
            raise NotFoundError(f"describe_model_package {arn}: it does not exist")
        return self._packages[arn]

    def decide(self, arn: str, approval: str, note: str = "") -> None:
        request = {"ModelPackageArn": arn, "ModelApprovalStatus": approval, "ApprovalDescription": note}
        assert_valid_request("sagemaker", "UpdateModelPackage", request)
        present = self.package(arn)
        self._packages[arn] = replace(present, approval=approval, note=note or present.note)
        self.decided.append(arn)
