"""The model registry. moto knows no repeated ClientToken: what it gets wrong is stated here by botocore's Stubber."""

from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from dropspot import aws
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.ports import APPROVED, PENDING, REJECTED, Registry, Request
from dropspot.testing import MemoryRegistry

GROUP = "dropspot"
ARN = "arn:aws:sagemaker:us-east-1:000000000000:model-package/dropspot/1"


def request(run_id: str, token: str = "") -> Request:
    container = {
        "Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/detector:1",
        "ModelDataUrl": "s3://bucket/model.tar.gz",
    }
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["image/jpeg"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    return {
        "ModelPackageGroupName": GROUP,
        "ModelPackageDescription": f"of {run_id}",
        "ModelApprovalStatus": PENDING,
        "InferenceSpecification": specification,
        "CustomerMetadataProperties": {"run_id": run_id},
    } | ({"ClientToken": token} if token else {})


@pytest.fixture
def registry(side: str) -> Registry:
    if side == "memory":
        return MemoryRegistry()
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
    return aws.SageMakerRegistry()


@pytest.fixture
def stubbed() -> Iterator[Stubber]:
    """Yield what states SageMaker's answers."""
    aws.client.cache_clear()
    with Stubber(aws.client("sagemaker")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def test_a_registered_version_is_found_by_what_describes_it(registry: Registry) -> None:
    assert registry.find(GROUP, "of pets-1") is None
    first, second = registry.register(request("pets-1")), registry.register(request("pets-2"))
    assert first != second
    assert registry.find(GROUP, "of pets-1") == first
    assert registry.find(GROUP, "of pets-2") == second
    assert registry.find(GROUP, "of pets-3") is None


def test_a_version_says_whose_it_is_and_how_its_approval_stands(registry: Registry) -> None:
    arn = registry.register(request("pets-1"))
    package = registry.package(arn)
    assert (package.arn, package.run_id, package.approval, package.note) == (arn, "pets-1", PENDING, "")
    registry.decide(arn, REJECTED, "too many misses")
    package = registry.package(arn)
    assert (package.approval, package.note) == (REJECTED, "too many misses")
    registry.decide(arn, APPROVED)
    assert registry.package(arn).approval == APPROVED


def test_a_version_that_was_never_registered_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFoundError):
        registry.package(ARN)
    with pytest.raises(NotFoundError):
        registry.decide(ARN, APPROVED)


def test_a_repeated_token_gives_the_version_that_it_made() -> None:
    registry = MemoryRegistry()
    assert registry.register(request("pets-1", "t")) == registry.register(request("pets-1", "t"))
    assert len(registry.requests) == 1


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("ValidationException", f"ModelPackage {ARN} does not exist.", NotFoundError),
        ("ValidationException", "Invalid ModelPackageName", InvalidInputError),
        ("ThrottlingException", "Rate exceeded", TransientError),
    ],
)
def test_errors_are_told_apart(stubbed: Stubber, code: str, message: str, expected: type[Exception]) -> None:
    stubbed.add_client_error("describe_model_package", code, message, 400)
    with pytest.raises(expected):
        aws.SageMakerRegistry().package(ARN)


def test_a_throttled_search_is_transient(stubbed: Stubber) -> None:
    stubbed.add_client_error("list_model_packages", "ThrottlingException", "Rate exceeded", 400)
    with pytest.raises(TransientError):
        aws.SageMakerRegistry().find(GROUP, "of pets-1")
