"""Asking without waiting, and scaling: each on both sides."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber
from handlers import load_logic

from dropspot import aws
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.ports import Inference, Scaling
from dropspot.testing import MemoryInference, MemoryScaling

requests = load_logic("reconcile_endpoint", "scaling")
TARGET = requests.target_request("dropspot-endpoint", "classes-0123", 2)
TRACKING = requests.tracking_request("dropspot-endpoint", "classes-0123", 600)
STEP = requests.step_request("dropspot-endpoint", "classes-0123")
ASKED = {
    "EndpointName": "e",
    "ContentType": "application/x-image",
    "Accept": "application/json",
    "InferenceId": "name",
    "InputLocation": "s3://b/k",
    "RequestTTLSeconds": 21600,
}


@pytest.fixture
def runtime() -> Iterator[Stubber]:
    aws.client.cache_clear()
    with Stubber(aws.client("sagemaker-runtime")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def test_a_request_is_made_and_not_waited_for(runtime: Stubber) -> None:
    runtime.add_response("invoke_endpoint_async", {"InferenceId": "name", "OutputLocation": "s3://b/o"}, ASKED)
    memory = MemoryInference()
    memory.serve("e", "v", lambda image: [])
    sides: list[Inference] = [aws.SageMakerInference(), memory]
    for side in sides:
        side.submit("e", "s3://b/k", "name")
    assert memory.submitted == {"name": "s3://b/k"}


def test_an_endpoint_that_isn_t_in_service_is_not_found(runtime: Stubber) -> None:
    runtime.add_client_error("invoke_endpoint_async", "ValidationError", "Endpoint e of account 0 not found.", 400)
    sides: list[Inference] = [aws.SageMakerInference(), MemoryInference()]
    for side in sides:
        with pytest.raises(NotFoundError):
            side.submit("e", "s3://b/k", "name")


def test_a_throttled_request_may_be_made_again(runtime: Stubber) -> None:
    runtime.add_client_error("invoke_endpoint_async", "ThrottlingException", "Rate exceeded", 400)
    with pytest.raises(TransientError):
        aws.SageMakerInference().submit("e", "s3://b/k", "name")


@pytest.fixture
def scaling(side: str) -> Scaling:
    return MemoryScaling() if side == "memory" else aws.ApplicationScaling()


def test_scaling_is_in_force_once_its_target_and_policy_are_as_they_should_be(scaling: Scaling) -> None:
    assert not scaling.is_in_force(TARGET, TRACKING)
    scaling.register(TARGET)
    assert not scaling.is_in_force(TARGET, TRACKING)
    assert "dropspot-endpoint-wake" in scaling.put_policy(STEP)
    assert not scaling.is_in_force(TARGET, TRACKING)
    scaling.put_policy(TRACKING)
    assert scaling.is_in_force(TARGET, TRACKING)
    assert not scaling.is_in_force(TARGET | {"MaxCapacity": 3}, TRACKING)
    other: Any = requests.tracking_request("dropspot-endpoint", "classes-0123", 60)
    assert not scaling.is_in_force(TARGET, other)
    scaling.register(TARGET)
    scaling.put_policy(other)
    assert scaling.is_in_force(TARGET, other)


def test_a_variant_is_let_go(scaling: Scaling) -> None:
    scaling.register(TARGET)
    scaling.deregister(TARGET["ResourceId"])
    assert not scaling.is_in_force(TARGET, TRACKING)


def test_a_variant_that_is_not_registered_is_no_error() -> None:
    aws.client.cache_clear()
    with Stubber(aws.client("application-autoscaling")) as stubber:
        stubber.add_client_error("deregister_scalable_target", "ObjectNotFoundException", "No scalable target", 400)
        sides: list[Scaling] = [aws.ApplicationScaling(), MemoryScaling()]
        for scaling in sides:
            scaling.deregister(TARGET["ResourceId"])
    aws.client.cache_clear()


def test_what_the_service_refuses_is_invalid() -> None:
    aws.client.cache_clear()
    with Stubber(aws.client("application-autoscaling")) as stubber:
        stubber.add_client_error("register_scalable_target", "ValidationException", "no such variant", 400)
        with pytest.raises(InvalidInputError, match="no such variant"):
            aws.ApplicationScaling().register(TARGET)
    aws.client.cache_clear()
