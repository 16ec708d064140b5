"""Calls that the service refuses for reasons of its own, on request.

Cases name the page of the SageMaker API Reference whose behaviour they copy.
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from dropspot_local.control import Control


@pytest.fixture
def control(aws) -> Control:
    return Control(aws.url)


def error_of(refused) -> tuple[str, str, int]:
    response = refused.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_throttled_calls_are_refused_as_often_as_asked_and_no_oftener(aws, control):
    """Common Errors, ThrottlingException: HTTP 400, and the request can be repeated."""
    control.throttle("ListTrainingJobs", times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            aws["sagemaker"].list_training_jobs()
        assert error_of(refused) == ("ThrottlingException", "Rate exceeded", 400)
    aws["sagemaker"].list_models()
    aws["sagemaker"].list_training_jobs()


def test_an_invocation_can_be_throttled(aws, control):
    """InvokeEndpoint; Common Errors, ThrottlingException."""
    control.throttle("InvokeEndpoint")
    with pytest.raises(ClientError) as refused:
        aws.ask("nowhere")
    assert error_of(refused)[0] == "ThrottlingException"


def test_a_used_up_quota_is_named_with_its_instance_type(aws, control):
    """CreateTrainingJob, ResourceLimitExceeded: nothing is created, and the name stays free."""
    name = aws.name("train")
    control.exceed_limit("CreateTrainingJob")
    with pytest.raises(ClientError) as refused:
        aws.train(name)
    code, message, status = error_of(refused)
    assert (code, status) == ("ResourceLimitExceeded", 400)
    assert message.startswith(
        "The account-level service limit 'ml.m5.large for training job usage' is 0 Instances, with current utilization "
        "of 0 Instances and a request delta of 1 Instances."
    )
    assert aws.trained(name)["TrainingJobStatus"] == "Completed"


def test_only_the_root_user_has_control(aws):
    """docs/embedded-cloud.md: this cloud's own operations are its root user's alone."""
    user = aws["iam"].create_user(UserName=aws.name("user"))["User"]["UserName"]
    key = aws["iam"].create_access_key(UserName=user)["AccessKey"]
    client = aws.client("sagemaker", key["AccessKeyId"], key["SecretAccessKey"])

    def aim(request, **_: object) -> None:
        request.headers.replace_header("X-Amz-Target", "EmbeddedCloud.RefuseCalls")

    client.meta.events.register("before-sign.sagemaker.ListModels", aim)
    with pytest.raises(ClientError, match=r"Only the root user may call RefuseCalls\.") as refused:
        client.list_models()
    assert error_of(refused)[0] == "AccessDeniedException"
