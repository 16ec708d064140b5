"""What the hooks mend in ministack, seen from outside: on a small stack that needs each of them."""

from __future__ import annotations

import json
import time

import boto3
import pytest
from botocore.exceptions import ClientError
from ministack.core import iam_evaluator

from dropspot_local import authorization, cloud

HANDLER = """
import time
def handler(event, context):
    if event["command"] == "fail":
        raise ValueError("no")
    time.sleep(0.5)
"""
TEMPLATE = {
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "images"}},
        "Failed": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failed"}},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "obeys",
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Timeout": 10,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": HANDLER},
                "ReservedConcurrentExecutions": 1,
            },
        },
        "OnFailure": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failed", "Arn"]}}},
            },
        },
        "Closed": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                "FunctionName": {"Ref": "Function"},
                "Enabled": False,
            },
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {"source": ["dropspot"]},
                "Targets": [
                    {
                        "Id": "function",
                        "Arn": {"Fn::GetAtt": ["Function", "Arn"]},
                        "InputTransformer": {
                            "InputPathsMap": {"command": "$.detail.command"},
                            "InputTemplate": '{"command": <command>}',
                        },
                    }
                ],
            },
        },
    },
    "Outputs": {"Mapping": {"Value": {"Ref": "Closed"}}},
}


class Stack:
    """The deployed stack and clients of its cloud."""

    def __init__(self, url: str) -> None:
        self.url = url
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(TEMPLATE), Capabilities=["CAPABILITY_IAM"])
        cloudformation.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig={"Delay": 1})
        outputs = cloudformation.describe_stacks(StackName="s")["Stacks"][0]["Outputs"]
        self.mapping = outputs[0]["OutputValue"]

    def client(self, service: str, key: str = "test", secret: str = "test"):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def user(self, service: str, name: str, *statements: dict[str, object]):
        iam = self.client("iam")
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.client(service, key["AccessKeyId"], key["SecretAccessKey"])

    def command(self, *commands: str) -> None:
        entries = [
            {"Source": "dropspot", "DetailType": "d", "Detail": json.dumps({"command": command})}
            for command in commands
        ]
        assert self.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0

    def failures(self, seconds: float) -> list[dict[str, object]]:
        url = self.client("sqs").get_queue_url(QueueName="failed")["QueueUrl"]
        deadline, found = time.monotonic() + seconds, []
        while time.monotonic() < deadline and not found:
            messages = self.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def invocations(self) -> int:
        logs = self.client("logs")
        found = logs.filter_log_events(logGroupName="/aws/lambda/obeys", filterPattern="END RequestId")["events"]
        return len(found)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    try:
        yield Stack(cloud.start(root).endpoint_url)
    finally:
        cloud.stop(root)


def test_a_mapping_that_the_template_closes_is_closed(stack):
    mapping = stack.client("lambda").get_event_source_mapping(UUID=stack.mapping)
    assert mapping["State"] == "Disabled"


def test_an_update_of_the_stack_sets_what_the_template_says(stack):
    changed = json.loads(json.dumps(TEMPLATE))
    changed["Resources"]["Closed"]["Properties"]["BatchSize"] = 3
    changed["Resources"]["Function"]["Properties"]["ReservedConcurrentExecutions"] = 2
    stack.client("lambda").update_event_source_mapping(UUID=stack.mapping, Enabled=True)
    cloudformation = stack.client("cloudformation")
    for template, reserved in ((changed, 2), (TEMPLATE, 1)):
        cloudformation.update_stack(StackName="s", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
        cloudformation.get_waiter("stack_update_complete").wait(StackName="s", WaiterConfig={"Delay": 1})
        assert stack.client("lambda").get_event_source_mapping(UUID=stack.mapping)["State"] == "Disabled"
        concurrency = stack.client("lambda").get_function_concurrency(FunctionName="obeys")
        assert concurrency["ReservedConcurrentExecutions"] == reserved


def test_an_event_that_fails_is_tried_again_and_then_kept(stack):
    stack.command("fail")
    (failure,) = stack.failures(seconds=15)
    assert failure["requestPayload"] == {"command": "fail"}
    assert failure["requestContext"]["condition"] == "RetriesExhausted"


def test_events_wait_for_the_one_reserved_execution(stack):
    before = stack.invocations()
    stack.command("wait", "wait", "wait", "wait")
    deadline = time.monotonic() + 15
    while stack.invocations() < before + 4:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert stack.failures(seconds=1) == []


def test_a_policy_can_confine_the_source_of_events(stack):
    allowed = {
        "Effect": "Allow",
        "Action": "events:PutEvents",
        "Resource": "*",
        "Condition": {"StringEquals": {"events:source": "mine"}},
    }
    events = stack.user("events", "speaker", allowed)
    entry = {"Source": "mine", "DetailType": "d", "Detail": "{}"}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    for entries in ([entry | {"Source": "yours"}], [entry, entry | {"Source": "yours"}]):
        with pytest.raises(ClientError, match="not authorized to perform: events:PutEvents"):
            events.put_events(Entries=entries)


def test_a_policy_can_confine_the_mapping_that_is_changed(stack):
    arn = f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{stack.mapping}"
    allowed = {"Effect": "Allow", "Action": "lambda:GetEventSourceMapping", "Resource": arn}
    functions = stack.user("lambda", "reader", allowed)
    assert functions.get_event_source_mapping(UUID=stack.mapping)["UUID"] == stack.mapping
    with pytest.raises(ClientError, match="not authorized to perform: lambda:UpdateEventSourceMapping"):
        functions.update_event_source_mapping(UUID=stack.mapping, Enabled=True)


def test_a_bucket_policy_against_plain_http_lets_loopback_in(stack):
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="tls-only")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::tls-only/*"}
    stack.user("s3", "writer", allowed).put_object(Bucket="tls-only", Key="k", Body=b"")


def test_a_wildcard_of_a_policy_spans_lines(monkeypatch):
    monkeypatch.setattr(iam_evaluator, "_fnmatch_compile", iam_evaluator._fnmatch_compile)  # put back afterwards
    authorization.let_wildcards_span_lines()
    assert iam_evaluator.fnmatch_iam_cs("arn:aws:s3:::b/images/a\nb.jpg", "arn:aws:s3:::b/images/*")
    assert not iam_evaluator.fnmatch_iam_cs("arn:aws:s3:::b/images/a\n", "arn:aws:s3:::b/images/a")
