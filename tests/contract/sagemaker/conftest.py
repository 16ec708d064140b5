"""A started embedded cloud with a fake container, shared by the contract tests of its SageMaker."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dropspot_local import cloud

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/fake:1"
BUILT_IN = "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:1"
BUCKET = "contract-bucket"
ENDED = ("Completed", "Failed", "Stopped", "InService")
_names = itertools.count(1)


@dataclass
class Aws:
    """Clients of the started cloud, and requests that are right as they stand."""

    url: str
    role: str = ""
    clients: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = self.client(service)
        return self.clients[service]

    def client(self, service: str, key: str = "test", secret: str = "test") -> Any:
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=30)
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=config,
        )

    def name(self, what: str) -> str:
        return f"{what}-{next(_names)}"

    def put(self, key: str, body: bytes = b"text") -> None:
        self["s3"].put_object(Bucket=BUCKET, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return bytes(self["s3"].get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        found = self["s3"].list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"].removeprefix(prefix) for item in found]

    def ended(self, describe: str, status: str, seconds: float = 20, **name: str) -> dict[str, Any]:
        """Wait until a job or an endpoint has come to rest; returns its description."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            described: dict[str, Any] = getattr(self["sagemaker"], describe)(**name)
            if described[status] in ENDED:
                return described
            time.sleep(0.05)
        raise AssertionError(f"{name} is still {described[status]}")

    def processing(self, name: str, **changes: Any) -> dict[str, Any]:
        request = {
            "ProcessingJobName": name,
            "RoleArn": self.role,
            "AppSpecification": {"ImageUri": IMAGE},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
        }
        self["sagemaker"].create_processing_job(**(request | changes))
        return request | changes

    def training_request(self, name: str, **changes: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models/"},
            "HyperParameters": {},
        } | changes

    def train(self, name: str, **changes: Any) -> None:
        self["sagemaker"].create_training_job(**self.training_request(name, **changes))

    def listening(self, name: str, hosts: int = 1) -> None:
        """Wait until the containers of a training job have said something: by then they listen to signals."""
        deadline, group = time.monotonic() + 20, "/aws/sagemaker/TrainingJobs"
        while time.monotonic() < deadline:
            try:
                answer = self["logs"].describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
            except self["logs"].exceptions.ResourceNotFoundException:  # no training has said anything yet
                answer = {"logStreams": []}
            found = answer["logStreams"]
            if len(found) == hosts and all(self.log(group, stream["logStreamName"]) for stream in found):
                return
            time.sleep(0.05)
        raise AssertionError(f"the containers of {name} say nothing")

    def trained(self, name: str, **changes: Any) -> dict[str, Any]:
        self.train(name, **changes)
        return self.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)

    def model(self, name: str, *, environment: dict[str, str] | None = None, data: str | None = None) -> str:
        container: dict[str, Any] = {"Image": IMAGE, "Environment": environment or {}}
        if data:
            container["ModelDataUrl"] = data
        self["sagemaker"].create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.role)
        return name

    def config(self, name: str, *models: str, **variant: Any) -> str:
        variants = [
            {"VariantName": model, "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            | variant
            for model in models
        ]
        self["sagemaker"].create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        return name

    def endpoint(self, name: str, config: str) -> dict[str, Any]:
        self["sagemaker"].create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.at_rest(name)

    def at_rest(self, name: str) -> dict[str, Any]:
        return self.ended("describe_endpoint", "EndpointStatus", EndpointName=name)

    def ask(self, endpoint: str, body: bytes = b"x", **more: Any) -> dict[str, Any]:
        answer = self["sagemaker-runtime"].invoke_endpoint(EndpointName=endpoint, Body=body, **more)
        return {"said": json.loads(answer["Body"].read()), **answer}

    def log(self, group: str, stream: str) -> list[str]:
        logs = self["logs"]
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
        events = [
            logs.get_log_events(logGroupName=group, logStreamName=found["logStreamName"])["events"] for found in streams
        ]
        return [event["message"] for stream_events in events for event in stream_events]


def make_role(aws: Aws, name: str, *statements: dict[str, Any], service: str = "sagemaker.amazonaws.com") -> str:
    """A role with one inline policy that a service may assume; returns its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = aws["iam"].create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    aws["iam"].put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(policy))
    return str(arn)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    root = tmp_path_factory.mktemp("checkout")
    script = str(Path(__file__).parent / "fake_container.py")
    commands = {name: [sys.executable, script, name] for name in ("process", "train", "serve")}
    (root / "images.json").write_text(json.dumps({IMAGE: {"commands": commands}, BUILT_IN: {"commands": commands}}))
    running = cloud.start(root, images=root / "images.json")
    try:
        found = Aws(running.endpoint_url)
        found["s3"].create_bucket(Bucket=BUCKET)
        allowed = {"Effect": "Allow", "Action": ["s3:*", "cloudwatch:DescribeAlarms"], "Resource": "*"}
        found.role = make_role(found, "jobs", allowed)
        yield found
    finally:
        cloud.stop(root)


@pytest.fixture
def events(aws: Aws) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What SageMaker has said on the bus since the test began."""
    name = aws.name("seen")
    url = aws["sqs"].create_queue(QueueName=name)["QueueUrl"]
    arn = aws["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws["events"].put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    aws["events"].put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    seen: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        while messages := aws["sqs"].receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                seen.append(json.loads(message["Body"]))
                aws["sqs"].delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return seen

    yield read
    aws["events"].remove_targets(Rule=name, Ids=["queue"])
    aws["events"].delete_rule(Name=name)
    aws["sqs"].delete_queue(QueueUrl=url)
