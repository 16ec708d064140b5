"""The adapters on AWS, and the only module that imports boto3."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ClientConnectionError

from dropspot.awaiting import LONGEST_WAIT
from dropspot.aws_errors import code_of as _code
from dropspot.aws_errors import is_missing as _is_missing
from dropspot.aws_errors import message_of as _message
from dropspot.aws_errors import translated as _translated
from dropspot.datasets import StoredObject
from dropspot.errors import DropspotError, InvalidInputError, NotFoundError, TransientError
from dropspot.ports import Answer, Endpoint, Job, JobKind, ObjectVersion, Request, StoredBytes

_UNANSWERED = (ClientConnectionError, HTTPClientError)  # nobody answered, or not in time

# InvokeEndpoint may take its documented 60 seconds; everything else answers much sooner. One that got no answer
# is repeated once here, and then by the queue: the function has no time for more.
_ATTEMPTS = {"sagemaker-runtime": 2}


class _Clients:
    """The clients of one container, one of each service, made when first asked for; threads share them."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._making = threading.Lock()  # boto3's default session makes one client at a time

    def __call__(self, service: str) -> Any:
        if service not in self._made:
            with self._making:
                if service not in self._made:
                    self._made[service] = self._new(service)
        return self._made[service]

    def cache_clear(self) -> None:
        """Forget them all, for tests that change the environment."""
        self._made.clear()

    @staticmethod
    def _new(service: str) -> Any:
        config = Config(
            connect_timeout=5,
            read_timeout=65,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS.get(service, 4)},
            max_pool_connections=32,  # as many as detect_objects may have threads; they are opened when needed
            tcp_keepalive=True,
        )
        return boto3.client(service, config=config)


client = _Clients()


_PIECE = 1024 * 1024


class S3Store:
    """A bucket on S3."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def sibling(self, bucket: str) -> "S3Store":
        return S3Store(bucket)

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        start = {"StartAfter": after} if after else {}
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **start)
        for page in pages:
            yield from _listed(page)

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        try:
            start: dict[str, Any] = {"PaginationConfig": {"PageSize": most}} | ({"StartAfter": key} if key else {})
            # A page may come empty though more follow it.
            for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **start):
                if found := list(_listed(page)):
                    return found
        except ClientError as error:
            attempt = f"list s3://{self.bucket}"
            if _code(error) == "AccessDenied":
                raise InvalidInputError(f"{attempt}: AccessDenied") from error
            raise _translated(error, attempt) from error
        except _UNANSWERED as error:
            raise TransientError(f"list s3://{self.bucket}: {error}") from error
        return []

    def children(self, prefix: str) -> list[str]:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        names = []
        for page in pages:
            names += [item["Prefix"].removeprefix(prefix) for item in page.get("CommonPrefixes", [])]
            names += [item["Key"].removeprefix(prefix) for item in page.get("Contents", [])]
        return [name for name in names if name]

    def has_open_upload(self, prefix: str) -> bool:
        answer = client("s3").list_multipart_uploads(Bucket=self.bucket, Prefix=prefix, MaxUploads=1)
        return bool(answer.get("Uploads"))

    def head(self, key: str) -> str | None:
        found = self.version(key)
        return found.etag if found else None

    def version(self, key: str) -> ObjectVersion | None:
        try:
            answer = client("s3").head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            translated = _translated(error, f"look at s3://{self.bucket}/{key}")
            if isinstance(translated, NotFoundError):
                return None
            raise translated from error
        return ObjectVersion(answer["ETag"].strip('"'), answer.get("VersionId"), answer["LastModified"])

    def read(self, key: str, *, limit: int | None = None) -> StoredBytes:
        try:
            answer = client("s3").get_object(Bucket=self.bucket, Key=key)
            size = int(answer["ContentLength"])
            with closing(answer["Body"]) as stream:
                body = stream.read() if limit is None or size <= limit else b""
        except ClientError as error:
            raise _translated(error, f"read s3://{self.bucket}/{key}") from error
        except _UNANSWERED as error:
            raise TransientError(f"read s3://{self.bucket}/{key}: {error}") from error
        version = answer.get("VersionId")
        return StoredBytes(body, answer["ETag"].strip('"'), version, answer.get("ContentType", ""), size)

    def pieces(self, key: str) -> Iterator[bytes]:
        try:
            body = client("s3").get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            raise _translated(error, f"read s3://{self.bucket}/{key}") from error
        with closing(body):
            yield from body.iter_chunks(_PIECE)

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/json",
    ) -> bool:
        condition = {"IfMatch": if_match} if if_match is not None else {"IfNoneMatch": "*"} if if_absent else {}
        try:
            client("s3").put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, **condition)
        except ClientError as error:
            # 409 is a conditional write that lost against another one in flight; 404 an If-Match on a deleted object.
            if condition and _code(error) in {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"}:
                return False
            raise _translated(error, f"write s3://{self.bucket}/{key}") from error
        return True

    def delete(self, key: str) -> None:
        client("s3").delete_object(Bucket=self.bucket, Key=key)


def _listed(page: Mapping[str, Any]) -> Iterator[StoredObject]:
    for item in page.get("Contents", []):
        yield StoredObject(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])


_OPERATION = {
    JobKind.PROCESSING: "processing_job",
    JobKind.TRAINING: "training_job",
    JobKind.TUNING: "hyper_parameter_tuning_job",
    JobKind.TRANSFORM: "transform_job",
}


class SageMakerJobs:
    """SageMaker's processing, training, tuning and transform jobs."""

    def start(self, kind: JobKind, request: Request) -> bool:
        name = request[f"{kind.value}Name"]
        try:
            getattr(client("sagemaker"), f"create_{_OPERATION[kind]}")(**request)
        except ClientError as error:
            if _code(error) == "ResourceInUse":
                return False
            if _code(error) in {"ValidationException", "ResourceLimitExceeded", "ResourceNotFound"}:
                raise InvalidInputError(f"SageMaker refused {name}: {_message(error)}") from error
            raise _translated(error, f"start {name}") from error
        return True

    def describe(self, kind: JobKind, name: str) -> Job:
        try:
            answer = getattr(client("sagemaker"), f"describe_{_OPERATION[kind]}")(**{f"{kind.value}Name": name})
        except ClientError as error:
            if _is_missing(error):
                raise NotFoundError(f"describe {name}: {_message(error)}") from error
            raise _translated(error, f"describe {name}") from error
        if best := answer.get("BestTrainingJob"):
            answer |= {"ModelArtifacts": {"S3ModelArtifacts": self._model_of(best["TrainingJobName"])}}
        return Job(
            name=name,
            status=answer[f"{kind.value}Status"],
            reason=_reason(answer),
            model_data=answer.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
        )

    def _model_of(self, training_job: str) -> str:
        return self.describe(JobKind.TRAINING, training_job).model_data


def _reason(answer: Mapping[str, Any]) -> str:
    """Return why a job has ended, in its own words or, where the service stopped it in silence, in ours."""
    if answer.get("SecondaryStatus") == "MaxRuntimeExceeded":
        limit = answer.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        return f"the job was stopped at its time limit, max_runtime_seconds ({limit})"
    if answer.get("SecondaryStatus") == "MaxWaitTimeExceeded":
        limit = answer.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
        return f"there wasn't enough spot capacity within the {limit} seconds that the job may wait and train"
    return str(answer.get("ExitMessage") or answer.get("FailureReason") or "")


class SageMakerHosting:
    """SageMaker's models, endpoint configs and endpoints."""

    def _call(self, operation: str, request: Request, *, settled: tuple[str, ...] = ()) -> None:
        """Call the operation; an error whose message has one of the `settled` words says that it is done already."""
        try:
            getattr(client("sagemaker"), operation)(**request)
        except ClientError as error:
            if _code(error) == "ValidationException" and any(word in _message(error).lower() for word in settled):
                return
            if _code(error) in {"ValidationException", "ResourceLimitExceeded"}:
                raise InvalidInputError(f"SageMaker refused {operation}: {_message(error)}") from error
            raise _translated(error, operation) from error

    def create_model(self, request: Request) -> None:
        self._call("create_model", request, settled=("already exist",))

    def create_endpoint_config(self, request: Request) -> None:
        self._call("create_endpoint_config", request, settled=("already exist",))

    def endpoint(self, name: str) -> Endpoint | None:
        try:
            answer = client("sagemaker").describe_endpoint(EndpointName=name)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise _translated(error, f"describe endpoint {name}") from error
        return Endpoint(
            status=answer["EndpointStatus"],
            config=answer.get("EndpointConfigName", ""),
            modified=answer["LastModifiedTime"],
            reason=answer.get("FailureReason", ""),
            variant=next((variant["VariantName"] for variant in answer.get("ProductionVariants", [])), ""),
        )

    def endpoint_config(self, name: str) -> Request | None:
        try:
            answer = client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise _translated(error, f"describe endpoint config {name}") from error
        return {key: answer[key] for key in ("EndpointConfigName", "ProductionVariants", "KmsKeyId") if key in answer}

    def create_endpoint(self, request: Request) -> None:
        self._call("create_endpoint", request)

    def update_endpoint(self, request: Request) -> None:
        self._call("update_endpoint", request)

    def delete_endpoint(self, name: str) -> None:
        self._call("delete_endpoint", {"EndpointName": name}, settled=("not find",))

    def endpoint_configs(self, prefix: str) -> list[str]:
        pages = (
            client("sagemaker")
            .get_paginator("list_endpoint_configs")
            .paginate(SortBy="CreationTime", SortOrder="Ascending", NameContains=prefix)
        )
        names = [item["EndpointConfigName"] for page in pages for item in page["EndpointConfigs"]]
        return [name for name in names if name.startswith(prefix)]

    def delete_endpoint_config(self, name: str) -> None:
        self._call("delete_endpoint_config", {"EndpointConfigName": name}, settled=("not find",))

    def delete_model(self, name: str) -> None:
        self._call("delete_model", {"ModelName": name}, settled=("not find",))


class ApplicationScaling:
    """Application Auto Scaling of SageMaker's variants."""

    _NAMESPACE = "sagemaker"

    def is_in_force(self, target: Request, policy: Request) -> bool:
        targets = client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace=self._NAMESPACE, ResourceIds=[target["ResourceId"]]
        )["ScalableTargets"]
        if not any(_says(found, target) for found in targets):
            return False
        policies = client("application-autoscaling").describe_scaling_policies(
            ServiceNamespace=self._NAMESPACE, ResourceId=policy["ResourceId"], PolicyNames=[policy["PolicyName"]]
        )["ScalingPolicies"]
        return any(_says(found, policy) for found in policies)

    def register(self, target: Request) -> None:
        self._call("register_scalable_target", target)

    def put_policy(self, request: Request) -> str:
        return str(self._call("put_scaling_policy", request)["PolicyARN"])

    def deregister(self, resource_id: str) -> None:
        try:
            client("application-autoscaling").deregister_scalable_target(
                ServiceNamespace=self._NAMESPACE,
                ResourceId=resource_id,
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            )
        except ClientError as error:
            if _code(error) != "ObjectNotFoundException":
                raise _translated(error, f"deregister {resource_id}") from error

    def _call(self, operation: str, request: Request) -> Mapping[str, Any]:
        attempt = f"{operation} of {request['ResourceId']}"
        try:
            answer: Mapping[str, Any] = getattr(client("application-autoscaling"), operation)(**request)
        except ClientError as error:
            if _code(error) in {"ValidationException", "LimitExceededException", "FailedResourceAccessException"}:
                raise InvalidInputError(f"Application Auto Scaling refused to {attempt}: {_message(error)}") from error
            raise _translated(error, attempt) from error
        return answer


def _says(found: Mapping[str, Any], wanted: Request) -> bool:
    """Tell whether what was found is what was asked for; the service adds more, at any depth."""
    return all(
        _says(found.get(name) or {}, value) if isinstance(value, dict) else found.get(name) == value
        for name, value in wanted.items()
    )


class CloudWatchAlarms:
    """CloudWatch's alarms."""

    def put(self, request: Request) -> None:
        attempt = f"put alarm {request['AlarmName']}"
        try:
            client("cloudwatch").put_metric_alarm(**request)
        except ClientError as error:
            if _code(error) in {"ValidationError", "InvalidParameterValue", "LimitExceeded"}:
                raise InvalidInputError(f"CloudWatch refused to {attempt}: {_message(error)}") from error
            raise _translated(error, attempt) from error

    def delete(self, names: Sequence[str]) -> None:
        for name in names:  # one by one: where one of several doesn't exist, CloudWatch deletes none
            try:
                client("cloudwatch").delete_alarms(AlarmNames=[name])
            except ClientError as error:
                if _code(error) not in {"ResourceNotFound", "ResourceNotFoundException"}:
                    raise _translated(error, f"delete alarm {name}") from error


class SageMakerInference:
    """The endpoint's runtime."""

    def invoke(self, endpoint: str, image: bytes) -> Answer:
        try:
            answer = client("sagemaker-runtime").invoke_endpoint(
                EndpointName=endpoint, ContentType="application/x-image", Accept="application/json", Body=image
            )
            body = answer["Body"].read()
        except ClientError as error:
            raise self._translated(error, endpoint) from error
        except _UNANSWERED as error:
            raise TransientError(f"invoke {endpoint}: {error}") from error
        return Answer(body, answer["InvokedProductionVariant"], answer.get("CustomAttributes", ""))

    def submit(self, endpoint: str, input_uri: str, inference_id: str) -> None:
        try:
            client("sagemaker-runtime").invoke_endpoint_async(
                EndpointName=endpoint,
                ContentType="application/x-image",
                Accept="application/json",
                InferenceId=inference_id,
                InputLocation=input_uri,
                RequestTTLSeconds=int(LONGEST_WAIT.total_seconds()),
            )
        except ClientError as error:
            raise self._translated(error, endpoint) from error
        except (ClientConnectionError, HTTPClientError) as error:
            raise TransientError(f"invoke {endpoint}: {error}") from error

    @staticmethod
    def _translated(error: ClientError, endpoint: str) -> Exception:
        code, attempt = _code(error), f"invoke {endpoint}"
        if code == "ModelError":
            original = int(error.response.get("OriginalStatusCode", 500))
            message = error.response.get("OriginalMessage", _message(error))
            kind: type[DropspotError] = InvalidInputError if 400 <= original < 500 else TransientError
            return kind(f"{attempt}: the model's container answered {original}: {message}")
        if code in {"ValidationError", "ValidationException"}:
            # Said of a missing endpoint, and of one that isn't in service: no fault of the image.
            return NotFoundError(f"{attempt}: {_message(error)}")
        if code in {"ModelNotReadyException", "InternalDependencyException"}:
            return TransientError(f"{attempt}: {code}")
        return _translated(error, attempt)


class EventBridgeBus:
    """The default event bus."""

    def __init__(self, source: str) -> None:
        self._source = source

    def put(self, detail_type: str, detail: Mapping[str, object]) -> str:
        entry = self._entry(detail_type, detail)
        answer = client("events").put_events(Entries=[entry])["Entries"][0]
        if "EventId" not in answer:
            raise TransientError(f"put {detail_type}: {answer.get('ErrorCode')}: {answer.get('ErrorMessage')}")
        return str(answer["EventId"])

    def put_all(self, events: Sequence[tuple[str, Mapping[str, object]]]) -> list[bool]:
        taken: list[bool] = []
        for call in _calls([self._entry(*event) for event in events]):
            try:
                answers = client("events").put_events(Entries=call)["Entries"]
            except ClientError as error:
                if not isinstance(_translated(error, "put events"), TransientError):
                    raise
                answers = [{}] * len(call)
            except _UNANSWERED:
                answers = [{}] * len(call)
            taken += ["EventId" in answer for answer in answers]
        return taken

    def _entry(self, detail_type: str, detail: Mapping[str, object]) -> dict[str, str]:
        return {"Source": self._source, "DetailType": detail_type, "Detail": json.dumps(detail)}


def _calls(entries: Sequence[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Yield the entries in portions that PutEvents takes: ten of them, and 256 KiB (json.dumps makes ASCII)."""
    call: list[dict[str, str]] = []
    size = 0
    for entry in entries:
        own = sum(map(len, entry.values())) + 16
        if call and (len(call) == 10 or size + own > 256 * 1024):
            yield call
            call, size = [], 0
        call.append(entry)
        size += own
    if call:
        yield call


_VISIBLE_AGAIN = {"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "ReceiptHandleIsInvalid"}


class SqsQueues:
    """The queues on SQS."""

    def send(self, queue_url: str, body: str, delay_seconds: int) -> None:
        client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, DelaySeconds=delay_seconds)

    def waiting(self, queue_url: str) -> int:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        answer = client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        return sum(int(number) for number in answer["Attributes"].values())

    def set_aside(self, queue_url: str, body: str, code: str, message: str) -> None:
        reasons = {"ERROR_CODE": code, "ERROR_MESSAGE": message}
        attributes = {name: {"DataType": "String", "StringValue": reason} for name, reason in reasons.items()}
        client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, MessageAttributes=attributes)

    def send_all(self, queue_url: str, bodies: Iterable[str]) -> int:
        waiting, sent = iter(bodies), 0
        while batch := list(islice(waiting, 10)):
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
            failed = client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
            if failed:
                raise TransientError(f"send {len(batch)} messages: {len(failed)} failed, {failed[0]['Code']} first")
            sent += len(batch)
        return sent

    def postpone(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        try:
            client("sqs").change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
        except ClientError as error:
            if _code(error) in _VISIBLE_AGAIN:
                return  # it may have been received by another already
            raise _translated(error, "postpone a message") from error


class LambdaIntake:
    """The image queue's event source mapping."""

    def is_open(self, mapping_id: str) -> bool:
        state = client("lambda").get_event_source_mapping(UUID=mapping_id)["State"]
        return state in {"Enabled", "Enabling"}

    def set_open(self, mapping_id: str, wanted: bool) -> None:
        try:
            client("lambda").update_event_source_mapping(UUID=mapping_id, Enabled=wanted)
        except ClientError as error:
            if _code(error) in {"ResourceInUseException", "ResourceConflictException"}:
                raise TransientError(f"set event source mapping {mapping_id}: {_code(error)}") from error
            raise _translated(error, f"set event source mapping {mapping_id}") from error
