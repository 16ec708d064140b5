"""Asynchronous endpoints as the developer guide ("Asynchronous inference") and the API reference document them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.sagemaker.conftest import IMAGE, make_role

BUCKET = "contract-bucket"


def config(aws, model: str, **output: Any) -> str:
    name = aws.name("config")
    variant = {
        "VariantName": "only", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
    }  # fmt: skip
    place = {"S3OutputPath": f"s3://{BUCKET}/answers/{name}"} | output
    aws["sagemaker"].create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": place}
    )
    return name


@pytest.fixture(scope="module")
def topic(aws) -> str:
    return str(aws["sns"].create_topic(Name="inference")["TopicArn"])


@pytest.fixture(scope="module")
def model(aws, topic) -> str:
    """A model whose role may do what asynchronous inference needs: read, write and publish."""
    name = aws.name("model")
    role = make_role(
        aws,
        "asynchronous",
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic},
    )
    container = {"Image": IMAGE, "Environment": {}}
    aws["sagemaker"].create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    return name


@pytest.fixture(scope="module")
def endpoint(aws, topic, model) -> str:
    told = {"SuccessTopic": topic, "ErrorTopic": topic}
    made = config(aws, model, NotificationConfig=told, S3FailurePath=f"s3://{BUCKET}/failures")
    name = aws.name("async")
    assert aws.endpoint(name, made)["EndpointStatus"] == "InService"
    return name


@pytest.fixture
def told(aws, topic) -> Iterator[Callable[[], dict[str, Any]]]:
    """Wait for the next notification."""
    name = aws.name("told")
    url = aws["sqs"].create_queue(QueueName=name)["QueueUrl"]
    arn = aws["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    aws["sqs"].set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    subscription = aws["sns"].subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )["SubscriptionArn"]

    def next_message() -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for message in aws["sqs"].receive_message(QueueUrl=url).get("Messages", []):
                aws["sqs"].delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found: dict[str, Any] = json.loads(message["Body"])
                return found
            time.sleep(0.05)
        raise AssertionError("nobody was told")

    yield next_message
    aws["sns"].unsubscribe(SubscriptionArn=subscription)
    aws["sqs"].delete_queue(QueueUrl=url)


def ask(aws, endpoint: str, key: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = aws["sagemaker-runtime"].invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{BUCKET}/{key}", **more
    )
    return answer


def test_a_request_is_answered_at_once_and_its_output_comes_later(aws, endpoint, told):
    """InvokeEndpointAsync: the answer says where the output will lie, and the success topic that it lies there."""
    aws.put("inputs/one.jpg", b"12345")
    answer = ask(aws, endpoint, "inputs/one.jpg", ContentType="application/x-image", Accept="application/json",
                 InferenceId="my-own-id")  # fmt: skip
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "my-own-id"
    assert answer["OutputLocation"].startswith(f"s3://{BUCKET}/answers/config-")
    assert answer["OutputLocation"].endswith(".out")
    message = told()
    assert message["invocationStatus"] == "Completed"
    assert (message["eventName"], message["eventSource"]) == ("InferenceResult", "aws:sagemaker")
    assert message["inferenceId"] == "my-own-id"
    assert message["requestParameters"] == {
        "endpointName": endpoint,
        "inputLocation": f"s3://{BUCKET}/inputs/one.jpg",
        "contentType": "application/x-image",
        "accept": "application/json",
    }
    assert message["responseParameters"]["outputLocation"] == answer["OutputLocation"]
    said = json.loads(aws.get(answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/")))
    assert (said["bytes"], said["type"], said["accept"]) == (5, "application/x-image", "application/json")


def test_a_request_without_an_id_gets_one(aws, endpoint, told):
    """InvokeEndpointAsync: InferenceId is made where the caller gives none."""
    aws.put("inputs/two.jpg", b"123")
    answer = ask(aws, endpoint, "inputs/two.jpg")
    assert told()["inferenceId"] == answer["InferenceId"]


@pytest.mark.parametrize(("body", "side", "status"), [(b"status 400", "client", 400), (b"status 503", "server", 503)])
def test_a_container_that_refuses_is_told_of_with_its_status(aws, endpoint, told, body, side, status):
    """AsyncInferenceNotificationConfig: the error topic is told of a request that failed."""
    aws.put("inputs/bad.jpg", body)
    answer = ask(aws, endpoint, "inputs/bad.jpg")
    message = told()
    assert message["invocationStatus"] == "Failed"
    assert f"Received {side} error ({status}) from model" in message["failureReason"]
    assert "responseParameters" not in message
    assert aws.get(answer["FailureLocation"].removeprefix(f"s3://{BUCKET}/"))
    assert answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/answers/") not in aws.keys("answers/")


def test_an_input_that_is_gone_fails(aws, endpoint, told):
    """AsyncInferenceNotificationConfig: the error topic is told of a request that failed."""
    ask(aws, endpoint, "inputs/gone.jpg")
    assert "NoSuchKey" in told()["failureReason"]


def test_requests_wait_for_their_turn_and_none_is_lost(aws, endpoint, told):
    """AsyncInferenceClientConfig: so many requests are sent to an instance at once, the others wait."""
    aws.put("inputs/slow.jpg", b"sleep 0.2")
    asked = {ask(aws, endpoint, "inputs/slow.jpg")["InferenceId"] for _ in range(12)}
    assert {told()["inferenceId"] for _ in range(12)} == asked


def test_an_update_keeps_the_requests_that_wait_and_answers_go_where_the_new_config_says(
    aws, endpoint, told, topic, model
):
    """AsyncInferenceOutputConfig: the config in service when the answer comes says where it lies."""
    new = config(aws, model, NotificationConfig={"SuccessTopic": topic})
    aws.put("inputs/slow.jpg", b"sleep 0.2")
    asked = {ask(aws, endpoint, "inputs/slow.jpg")["InferenceId"] for _ in range(8)}
    aws["sagemaker"].update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    assert {told()["inferenceId"] for _ in range(8)} == asked
    assert aws.at_rest(endpoint)["EndpointConfigName"] == new
    aws.put("inputs/one.jpg", b"12345")
    assert ask(aws, endpoint, "inputs/one.jpg")["OutputLocation"].startswith(f"s3://{BUCKET}/answers/{new}/")
    told()


def test_no_update_makes_one_kind_of_endpoint_into_the_other(aws, endpoint, model):
    """UpdateEndpoint: no AsyncInferenceConfig is added to an endpoint or removed from it (ValidationException)."""
    realtime = aws.config(aws.name("config"), model)
    with pytest.raises(ClientError, match="AsyncInferenceConfig parameter cannot be removed from") as told:
        aws["sagemaker"].update_endpoint(EndpointName=endpoint, EndpointConfigName=realtime)
    assert told.value.response["Error"]["Code"] == "ValidationException"
    other = aws.name("realtime")
    assert aws.endpoint(other, realtime)["EndpointStatus"] == "InService"
    with pytest.raises(ClientError, match="AsyncInferenceConfig parameter cannot be added to this endpoint"):
        aws["sagemaker"].update_endpoint(EndpointName=other, EndpointConfigName=config(aws, model))
    for name in (endpoint, other):
        assert aws["sagemaker"].describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


def test_each_kind_of_endpoint_refuses_the_other_kind_of_request(aws, endpoint):
    """AsyncInferenceConfig: an endpoint whose config has it takes asynchronous requests, and no others."""
    with pytest.raises(ClientError, match="asynchronous"):
        aws.ask(endpoint)
    model = aws.model(aws.name("model"))
    waiting = aws.name("realtime")
    aws.endpoint(waiting, aws.config(aws.name("config"), model))
    with pytest.raises(ClientError, match="not asynchronous"):
        ask(aws, waiting, "inputs/one.jpg")
    with pytest.raises(ClientError, match="Endpoint none of account 000000000000 not found"):
        ask(aws, "none", "inputs/one.jpg")


@pytest.mark.parametrize("place", ["", "https://example.com/x", "one.jpg"])
def test_an_input_outside_s3_is_refused(aws, endpoint, place):
    """InvokeEndpointAsync: InputLocation is the S3 URI of the payload."""
    with pytest.raises(ClientError, match="InputLocation must be the S3 URI"):
        aws["sagemaker-runtime"].invoke_endpoint_async(EndpointName=endpoint, InputLocation=place)


def test_an_endpoint_describes_its_output(aws, endpoint):
    """DescribeEndpoint: AsyncInferenceConfig is the one of the endpoint config."""
    described = aws["sagemaker"].describe_endpoint(EndpointName=endpoint)
    assert described["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"].startswith(f"s3://{BUCKET}/answers/")


def scaled(aws, endpoint: str, *, wakes: bool = True, fewest: int = 0) -> dict[str, str]:
    """Let an endpoint scale as reconcile_endpoint has it, with an idle time that a test can wait for."""
    of = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/only",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling = aws["application-autoscaling"]
    scaling.register_scalable_target(**of, MinCapacity=fewest, MaxCapacity=1)
    if wakes:
        steps = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
        scaling.put_scaling_policy(
            **of, PolicyName="wake", PolicyType="StepScaling",
            StepScalingPolicyConfiguration={"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps},
        )  # fmt: skip
    tracking = {
        "TargetValue": 5.0,
        "ScaleInCooldown": 1,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance", "Namespace": "AWS/SageMaker", "Statistic": "Average",
        },
    }  # fmt: skip
    scaling.put_scaling_policy(
        **of,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    return of


def instances(aws, endpoint: str) -> int:
    (variant,) = aws["sagemaker"].describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    return int(variant["CurrentInstanceCount"])


def until(what: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def sleeper(aws, topic, model) -> str:
    name = aws.name("sleeper")
    aws.endpoint(name, config(aws, model, NotificationConfig={"SuccessTopic": topic}))
    return name


def test_an_idle_endpoint_gives_its_instance_back_and_a_request_wakes_it(aws, sleeper, told):
    """Autoscale an asynchronous endpoint: to no instance and back, by the backlog."""
    of = scaled(aws, sleeper)
    (target,) = aws["application-autoscaling"].describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[of["ResourceId"]]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 1)
    policies = aws["application-autoscaling"].describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=of["ResourceId"]
    )["ScalingPolicies"]
    assert {policy["PolicyName"] for policy in policies} == {"wake", "backlog"}
    until(lambda: instances(aws, sleeper) == 0)
    assert aws.at_rest(sleeper)["EndpointStatus"] == "InService"
    aws.put("inputs/one.jpg", b"12345")
    asked = ask(aws, sleeper, "inputs/one.jpg")
    assert told()["inferenceId"] == asked["InferenceId"]
    until(lambda: instances(aws, sleeper) == 0)


def test_a_variant_that_was_let_go_keeps_its_instances(aws, sleeper, told):
    """Autoscale an asynchronous endpoint: a target that is deregistered is scaled no more."""
    of = scaled(aws, sleeper)
    aws.put("inputs/one.jpg", b"12345")
    ask(aws, sleeper, "inputs/one.jpg")
    told()
    aws["application-autoscaling"].deregister_scalable_target(**of)
    time.sleep(2.5)
    assert instances(aws, sleeper) == 1
    with pytest.raises(ClientError, match="No scalable target"):
        aws["application-autoscaling"].deregister_scalable_target(**of)


def test_an_endpoint_that_is_deleted_takes_its_target_with_it(aws, topic, model):
    """DeleteEndpoint: what was there for the endpoint is freed, and one of the same name scales as a new one."""
    name, made = aws.name("again"), config(aws, model, NotificationConfig={"SuccessTopic": topic})
    scaling = aws["application-autoscaling"]
    for _ in range(2):
        aws.endpoint(name, made)
        of = scaled(aws, name)
        until(lambda: instances(aws, name) == 0)
        aws["sagemaker"].delete_endpoint(EndpointName=name)
        until(lambda: not aws["sagemaker"].list_endpoints(NameContains=name)["Endpoints"])
        resource = of["ResourceId"]
        until(lambda: not targets(scaling, resource))  # noqa: B023
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)
        assert policies["ScalingPolicies"] == []


def targets(scaling, resource: str) -> list[dict[str, Any]]:
    found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])
    return list(found["ScalableTargets"])


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"MinCapacity": 2, "MaxCapacity": 1}, "Maximum capacity cannot be less than minimum capacity"),
        ({"MinCapacity": 1}, "MaxCapacity is needed"),
        ({"MinCapacity": 0, "MaxCapacity": 1, "SuspendedState": {"DynamicScalingInSuspended": True}}, "SuspendedState"),
    ],
)
def test_a_target_that_can_t_be_is_refused(aws, sleeper, stated, said):
    """RegisterScalableTarget: both capacities for a new target, the least of them no larger than the most."""
    of = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{sleeper}/variant/only",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    with pytest.raises(ClientError, match=said) as refused:
        aws["application-autoscaling"].register_scalable_target(**of, **stated)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_only_variants_of_asynchronous_endpoints_scale(aws):
    """docs/embedded-cloud.md: of scaling there is that of asynchronous endpoints alone."""
    with pytest.raises(ClientError, match="no variant of an asynchronous endpoint"):
        scaled(aws, "none")
