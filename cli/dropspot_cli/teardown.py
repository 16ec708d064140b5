"""`dropspot teardown`: everything of a stack that costs money, in an order in which nothing comes back.

The endpoint, its configs, models and alarms are made by the pipeline and unknown to CloudFormation, and so are the
versions in the model registry, with which their group couldn't be deleted. The bucket outlives the stack on purpose.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from dropspot import aws, endpoint
from dropspot.aws import SageMakerHosting
from dropspot.aws.errors import is_missing
from dropspot.errors import TransientError
from dropspot_cli.stack import Stack

_RUN_ALARM = re.compile(r"[a-z0-9-]+-[0-9a-f]{10}-(errors|latency)")
_JOBS = (
    ("processing_job", "ProcessingJob"),
    ("hyper_parameter_tuning_job", "HyperParameterTuningJob"),  # before its trainings: it would start more of them
    ("training_job", "TrainingJob"),
    ("transform_job", "TransformJob"),
)


@dataclass(slots=True)
class Teardown:
    """Takes one stack down; `say` is told of every step. What is gone already is no error: it may be run again."""

    stack: Stack
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    timeout: float = 1800
    _hosting: SageMakerHosting = field(default_factory=SageMakerHosting)

    def run(self) -> None:
        """Stop the jobs, delete what serves, delete the stack."""
        # First the wish: reconcile_endpoint would bring the endpoint back every minute.
        for key in (endpoint.DESIRED, endpoint.CHAMPION):
            self.stack.store.delete(key)
        self._stop_jobs()
        self._delete_serving()
        self._empty_registry()
        self._delete_stack()
        # A pass of reconcile_endpoint that had begun before may have made one more.
        self._delete_serving()

    def _stop_jobs(self) -> None:
        for operation, name in _JOBS:
            for job in self._own(f"list_{operation}s", f"{name}Summaries", f"{name}Name", StatusEquals="InProgress"):
                self._ignoring_gone(f"stop_{operation}", **{f"{name}Name": job})
                self.say(f"stopped {job}")

    def _delete_serving(self) -> None:
        name = self.stack.endpoint
        if self._hosting.endpoint(name) is not None:
            self._until(
                "the endpoint can be deleted", lambda: self._status() not in {"Creating", "Updating", "RollingBack"}
            )
            self._hosting.delete_endpoint(name)
            self._until(f"the endpoint {name} is gone", lambda: self._hosting.endpoint(name) is None)
            self.say(f"deleted the endpoint {name}")
        for config in self._own("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"):
            self._hosting.delete_endpoint_config(config)
            self.say(f"deleted the endpoint config {config}")
        for model in self._own("list_models", "Models", "ModelName"):
            self._hosting.delete_model(model)
            self.say(f"deleted the model {model}")
        for alarm in self._alarms():
            aws.client("cloudwatch").delete_alarms(AlarmNames=[alarm])
            self.say(f"deleted the alarm {alarm}")

    def _alarms(self) -> list[str]:
        """Return the names of the alarms that the pipeline has made; the stack's own go with it."""
        app = self.stack.app
        pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{app}-")
        names = [item["AlarmName"] for page in pages for item in page["MetricAlarms"]]
        asleep = endpoint.asleep_alarm(app)
        return [name for name in names if name == asleep or _RUN_ALARM.fullmatch(name.removeprefix(f"{app}-"))]

    def _empty_registry(self) -> None:
        """Delete the versions of the stack's model package group: with any in it, CloudFormation couldn't delete it."""
        client = aws.client("sagemaker")
        try:
            pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=self.stack.app)
            arns = [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]
        except ClientError as error:
            if is_missing(error):
                return
            raise
        for arn in arns:
            self._ignoring_gone("delete_model_package", ModelPackageName=arn)
            self.say(f"deleted the model package {arn.rpartition(':')[2]}")

    def _status(self) -> str:
        present = self._hosting.endpoint(self.stack.endpoint)
        return present.status if present else ""

    def _delete_stack(self) -> None:
        formation = aws.client("cloudformation")
        formation.delete_stack(StackName=self.stack.name)
        self._until(f"the stack {self.stack.name} is deleted", self._stack_is_gone)
        self.say(f"deleted the stack {self.stack.name}")

    def _stack_is_gone(self) -> bool:
        try:
            found = aws.client("cloudformation").describe_stacks(StackName=self.stack.name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":  # all that is said of a stack that doesn't exist
                return True
            raise
        if found and found[0]["StackStatus"] == "DELETE_FAILED":
            raise TransientError(
                f"CloudFormation could not delete the stack {self.stack.name}:"
                f" {found[0].get('StackStatusReason', 'no reason given')}."
            )
        return not found or found[0]["StackStatus"] == "DELETE_COMPLETE"

    def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.timeout
        while not is_so():
            if time.monotonic() >= deadline:
                raise TransientError(f"Waited {self.timeout:.0f} s until {what}, in vain: run the same command again.")
            self.sleep(1.0)

    def _own(self, operation: str, items: str, name: str, **more: Any) -> list[str]:
        """Return the names of this application's resources; the list is complete before anything is deleted."""
        prefix = f"{self.stack.app}-"
        pages: Iterator[dict[str, Any]] = (
            aws.client("sagemaker").get_paginator(operation).paginate(NameContains=prefix, **more)
        )
        names: Iterable[str] = (item[name] for page in pages for item in page[items])
        return [found for found in names if found.startswith(prefix)]

    @staticmethod
    def _ignoring_gone(operation: str, **request: str) -> None:
        try:
            getattr(aws.client("sagemaker"), operation)(**request)
        except ClientError as error:
            # a job that has ended meanwhile can't be stopped, and needn't be
            if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise


def bucket_content(bucket: str) -> tuple[int, int] | None:
    """Return the number and the bytes of all versions in the bucket, None where there is no such bucket."""
    count = size = 0
    try:
        for page in aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket):
            versions = page.get("Versions", [])
            count += len(versions) + len(page.get("DeleteMarkers", []))
            size += sum(version["Size"] for version in versions)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return None
        raise
    return count, size


def delete_bucket(bucket: str) -> None:
    """Delete the bucket with every version of every object in it, for good."""
    s3 = aws.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=bucket)
