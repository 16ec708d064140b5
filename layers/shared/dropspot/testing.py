"""The ports in memory, for tests and for nothing else; `tests/contract/ports` holds them to what the adapters do."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from dropspot.datasets import StoredObject
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.ports import (
    PENDING,
    RUN_ID,
    Answer,
    Endpoint,
    Job,
    JobKind,
    ModelPackage,
    ObjectVersion,
    Request,
    StoredBytes,
)
from dropspot.service_models import assert_valid_request as assert_valid_request  # noqa: PLC0414  tests find it here
from dropspot.services import Services
from dropspot.settings import Settings

S = TypeVar("S", bound=Settings)
Prediction = Sequence[Sequence[float]]
_PIECE = 1024 * 1024


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Kept:
    stored: StoredBytes
    modified: datetime


class MemoryStore:
    """A bucket in memory. ETags are MD5 sums, as S3's are for plain uploads: equal bytes have equal ETags."""

    def __init__(self, bucket: str = "bucket", clock: Clock | None = None, *, versioned: bool = True) -> None:
        self.bucket = bucket
        self.clock = clock or Clock()
        self.open_uploads: set[str] = set()  # keys whose multipart upload has begun and not ended
        self._versioned = versioned
        self._objects: dict[str, _Kept] = {}
        self._siblings: dict[str, MemoryStore] = {}
        self.exists = True

    def sibling(self, bucket: str) -> "MemoryStore":
        """Return another bucket, which doesn't exist until it is created."""
        if bucket == self.bucket:
            return self
        if bucket not in self._siblings:
            self._siblings[bucket] = MemoryStore(bucket, self.clock, versioned=self._versioned)
            self._siblings[bucket].exists = False
        return self._siblings[bucket]

    def create(self, bucket: str) -> "MemoryStore":
        """Create another bucket and return it."""
        created = self.sibling(bucket)
        created.exists = True
        return created

    def put(self, key: str, body: bytes, content_type: str = "binary/octet-stream") -> str:
        """Upload an object as a user does; return its ETag."""
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        version = uuid.uuid4().hex if self._versioned else None
        self._objects[key] = _Kept(StoredBytes(body, etag, version, content_type, len(body)), self.clock.now())
        return etag

    def put_json(self, key: str, document: object) -> str:
        """Put a document there as an earlier step would have; return its ETag."""
        return self.put(key, json.dumps(document).encode(), "application/json")

    def json(self, key: str) -> Any:
        """Return the document under the key; raise NotFoundError."""
        return json.loads(self.read(key).body)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys below the prefix, sorted."""
        return [found.key for found in self.objects(prefix)]

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        for key in sorted(self._objects, key=str.encode):  # S3 lists in the order of the keys' UTF-8 bytes
            if key.startswith(prefix) and key > after:
                kept = self._objects[key]
                yield StoredObject(key, kept.stored.etag, len(kept.stored.body), kept.modified)

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        if not self.exists:
            raise NotFoundError(f"list s3://{self.bucket}: NoSuchBucket")
        after = (found for found in self.objects("") if found.key.encode() > key.encode())
        return list(islice(after, most))

    def children(self, prefix: str) -> list[str]:
        rests = [found.key.removeprefix(prefix) for found in self.objects(prefix)]
        folders = [f"{rest.partition('/')[0]}/" for rest in rests if "/" in rest]
        return [*dict.fromkeys(folders)] + [rest for rest in rests if rest and "/" not in rest]

    def has_open_upload(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.open_uploads)

    def head(self, key: str) -> str | None:
        return self._objects[key].stored.etag if key in self._objects else None

    def version(self, key: str) -> ObjectVersion | None:
        if key not in self._objects:
            return None
        kept = self._objects[key]
        return ObjectVersion(kept.stored.etag, kept.stored.version_id, kept.modified)

    def read(self, key: str, *, limit: int | None = None) -> StoredBytes:
        if key not in self._objects:
            raise NotFoundError(f"read s3://{self.bucket}/{key}: NoSuchKey")
        stored = self._objects[key].stored
        return stored if limit is None or stored.size <= limit else replace(stored, body=b"")

    def pieces(self, key: str) -> Iterator[bytes]:
        body = self.read(key).body
        yield from (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/json",
    ) -> bool:
        present = self.head(key)
        # The adapter sends one condition and If-Match is the one it prefers.
        if (present != if_match) if if_match is not None else (if_absent and present is not None):
            return False
        self.put(key, body, content_type)
        return True

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)


class MemoryJobs:
    """SageMaker's jobs: a name that was used once is never free again, and a request must fit the service's model."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}  # by job name, in the order of their start
        self._jobs: dict[tuple[JobKind, str], Job] = {}

    def start(self, kind: JobKind, request: Request) -> bool:
        assert_valid_request("sagemaker", f"Create{kind.value}", request)
        name = request[f"{kind.value}Name"]
        if (kind, name) in self._jobs:
            return False
        self._jobs[kind, name] = Job(name, "InProgress")
        self.requests[name] = request
        return True

    def describe(self, kind: JobKind, name: str) -> Job:
        if (kind, name) not in self._jobs:
            raise NotFoundError(f"describe {name}: could not find it")
        return self._jobs[kind, name]

    def end(
        self, kind: JobKind, name: str, status: str = "Completed", *, reason: str = "", model_data: str = ""
    ) -> None:
        """Let a started job end, or change to any other status."""
        self._jobs[kind, name] = replace(self.describe(kind, name), status=status, reason=reason, model_data=model_data)


class MemoryHosting:
    """SageMaker's models, endpoint configs and endpoints; an endpoint changes its status when a test says so."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.models: dict[str, Request] = {}
        self.configs: dict[str, Request] = {}  # in the order of their creation
        self.endpoints: dict[str, Endpoint] = {}
        self.pending: dict[str, str] = {}  # by endpoint, the config that it is changing to

    def create_model(self, request: Request) -> None:
        assert_valid_request("sagemaker", "CreateModel", request)
        self.models.setdefault(request["ModelName"], request)

    def create_endpoint_config(self, request: Request) -> None:
        assert_valid_request("sagemaker", "CreateEndpointConfig", request)
        for variant in request["ProductionVariants"]:
            if variant["ModelName"] not in self.models:
                raise InvalidInputError(f"SageMaker refused create_endpoint_config: no model {variant['ModelName']}")
        self.configs.setdefault(request["EndpointConfigName"], request)

    def endpoint_config(self, name: str) -> Request | None:
        return self.configs.get(name)

    def endpoint(self, name: str) -> Endpoint | None:
        return self.endpoints.get(name)

    def create_endpoint(self, request: Request) -> None:
        assert_valid_request("sagemaker", "CreateEndpoint", request)
        if request["EndpointName"] in self.endpoints:
            raise InvalidInputError("SageMaker refused create_endpoint: Cannot create already existing endpoint")
        self._change(request, "Creating")

    def update_endpoint(self, request: Request) -> None:
        assert_valid_request("sagemaker", "UpdateEndpoint", request)
        present = self.endpoints.get(request["EndpointName"])
        if present is None or present.status != "InService":
            raise InvalidInputError("SageMaker refused update_endpoint: the endpoint is not in service")
        if "DeploymentConfig" in request and present.variant != self._variant(request["EndpointConfigName"]):
            raise InvalidInputError("SageMaker refused update_endpoint: guardrails need variants of the same name")
        self._change(request, "Updating")

    def _change(self, request: Request, status: str) -> None:
        name, config = request["EndpointName"], request["EndpointConfigName"]
        if config not in self.configs:
            raise InvalidInputError(f"SageMaker refused the endpoint: could not find endpoint configuration {config}")
        self.pending[name] = config
        served = self.endpoints[name].config if name in self.endpoints else config
        self.endpoints[name] = Endpoint(status, served, self.clock.now(), variant=self._variant(served))

    def _variant(self, config: str) -> str:
        return str(self.configs[config]["ProductionVariants"][0]["VariantName"]) if config in self.configs else ""

    def settle(self, name: str, status: str = "InService", *, config: str | None = None, reason: str = "") -> None:
        """Let an endpoint reach a status with the config that it was asked for, or another one, as after a rollback."""
        config = config or self.pending.get(name) or self.endpoints[name].config
        self.pending.pop(name, None)
        self.endpoints[name] = Endpoint(status, config, self.clock.now(), reason, self._variant(config))

    def delete_endpoint(self, name: str) -> None:
        self.endpoints.pop(name, None)
        self.pending.pop(name, None)

    def endpoint_configs(self, prefix: str) -> list[str]:
        return [name for name in self.configs if name.startswith(prefix)]

    def delete_endpoint_config(self, name: str) -> None:
        self.configs.pop(name, None)

    def delete_model(self, name: str) -> None:
        self.models.pop(name, None)


class MemoryAlarms:
    """CloudWatch's alarms, by name."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}

    def put(self, request: Request) -> None:
        assert_valid_request("cloudwatch", "PutMetricAlarm", request)
        self.requests[request["AlarmName"]] = request

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self.requests.pop(name, None)


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


class MemoryScaling:
    """Application Auto Scaling: targets and policies by resource; a policy needs its target."""

    def __init__(self) -> None:
        self.targets: dict[str, Request] = {}
        self.policies: dict[tuple[str, str], Request] = {}  # by resource and name

    def is_in_force(self, target: Request, policy: Request) -> bool:
        resource = target["ResourceId"]
        return (
            self.targets.get(resource) == target
            and self.policies.get((policy["ResourceId"], policy["PolicyName"])) == policy
        )

    def register(self, target: Request) -> None:
        assert_valid_request("application-autoscaling", "RegisterScalableTarget", target)
        self.targets[target["ResourceId"]] = target

    def put_policy(self, request: Request) -> str:
        assert_valid_request("application-autoscaling", "PutScalingPolicy", request)
        resource, name = request["ResourceId"], request["PolicyName"]
        if resource not in self.targets:
            raise InvalidInputError(f"Application Auto Scaling refused put_scaling_policy: no target {resource}")
        self.policies[resource, name] = request
        return f"arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:{name}"

    def deregister(self, resource_id: str) -> None:
        self.targets.pop(resource_id, None)
        self.policies = {key: policy for key, policy in self.policies.items() if key[0] != resource_id}


class MemoryInference:
    """The endpoints' runtime, answering what a test programmed; `images` are the payloads that were received.

    `submitted` are the requests that nobody waited for, as input URI by inference id.
    """

    def __init__(self) -> None:
        self.images: list[bytes] = []
        self.submitted: dict[str, str] = {}
        self._serving: dict[str, tuple[str, Callable[[bytes], Prediction], str]] = {}

    def serve(self, endpoint: str, variant: str, predict: Callable[[bytes], Prediction], attributes: str = "") -> None:
        """Put an endpoint into service; `predict` returns [class_id, score, xmin, ymin, xmax, ymax] rows or raises."""
        self._serving[endpoint] = variant, predict, attributes

    def withdraw(self, endpoint: str) -> None:
        """Take an endpoint out of service."""
        del self._serving[endpoint]

    def invoke(self, endpoint: str, image: bytes) -> Answer:
        if endpoint not in self._serving:
            raise NotFoundError(f"invoke {endpoint}: Endpoint {endpoint} not found")
        self.images.append(image)
        variant, predict, attributes = self._serving[endpoint]
        body = json.dumps({"prediction": [list(row) for row in predict(image)]}).encode()
        return Answer(body, variant, attributes)

    def submit(self, endpoint: str, input_uri: str, inference_id: str) -> None:
        if endpoint not in self._serving:
            raise NotFoundError(f"invoke {endpoint}: Endpoint {endpoint} not found")
        self.submitted[inference_id] = input_uri


@dataclass(frozen=True, slots=True)
class PutEvent:
    """An event as it was put on the bus."""

    event_id: str
    detail_type: str
    detail: dict[str, Any]


class MemoryBus:
    """The event bus, keeping what was put on it; `refuses` tells of which events it takes none from put_all."""

    def __init__(self) -> None:
        self.events: list[PutEvent] = []
        self.refuses: Callable[[Mapping[str, Any]], bool] = lambda _: False

    def put(self, detail_type: str, detail: Mapping[str, object]) -> str:
        event = PutEvent(str(uuid.uuid4()), detail_type, json.loads(json.dumps(detail)))
        self.events.append(event)
        return event.event_id

    def put_all(self, events: Sequence[tuple[str, Mapping[str, object]]]) -> list[bool]:
        taken = [not self.refuses(detail) for _, detail in events]
        for (detail_type, detail), is_taken in zip(events, taken, strict=True):
            if is_taken:
                self.put(detail_type, detail)
        return taken

    def of(self, detail_type: str) -> list[dict[str, Any]]:
        """Return the details of the events of this type, in order."""
        return [event.detail for event in self.events if event.detail_type == detail_type]


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was sent to a queue."""

    queue_url: str
    body: str
    delay_seconds: int


@dataclass(frozen=True, slots=True)
class PostponedMessage:
    """A received message that was given back for later."""

    queue_url: str
    receipt_handle: str
    seconds: int


@dataclass(frozen=True, slots=True)
class MessageAside:
    """A message that was given up, with its reason."""

    queue_url: str
    body: str
    code: str
    message: str


class MemoryQueues:
    """The queues, keeping what was sent and what was postponed."""

    def __init__(self) -> None:
        self.sent: list[SentMessage] = []
        self.aside: list[MessageAside] = []
        self.postponed: list[PostponedMessage] = []

    def send(self, queue_url: str, body: str, delay_seconds: int) -> None:
        self.sent.append(SentMessage(queue_url, body, delay_seconds))

    def send_all(self, queue_url: str, bodies: Iterable[str]) -> int:
        messages = [SentMessage(queue_url, body, 0) for body in bodies]
        self.sent += messages
        return len(messages)

    def waiting(self, queue_url: str) -> int:
        return sum(message.queue_url == queue_url for message in self.sent)

    def set_aside(self, queue_url: str, body: str, code: str, message: str) -> None:
        self.aside.append(MessageAside(queue_url, body, code, message))

    def postpone(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        self.postponed.append(PostponedMessage(queue_url, receipt_handle, seconds))


class MemoryIntake:
    """Event source mappings, closed until they are opened; those in `between` refuse every change."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.between: set[str] = set()

    def is_open(self, mapping_id: str) -> bool:
        return mapping_id in self.open

    def set_open(self, mapping_id: str, wanted: bool) -> None:
        if mapping_id in self.between:
            raise TransientError(f"set event source mapping {mapping_id}: ResourceInUseException")
        (self.open.add if wanted else self.open.discard)(mapping_id)


@dataclass(frozen=True, slots=True)
class MemoryServices(Services[S]):
    """A function's services in memory, typed so that a test may program them."""

    store: MemoryStore
    jobs: MemoryJobs
    hosting: MemoryHosting
    alarms: MemoryAlarms
    registry: MemoryRegistry
    scaling: MemoryScaling
    inference: MemoryInference
    bus: MemoryBus
    queues: MemoryQueues
    intake: MemoryIntake
    clock: Clock = field(default_factory=Clock)


def memory_services(settings: S, *, store: MemoryStore | None = None) -> MemoryServices[S]:
    """Return empty services that share one clock; `store` where several functions share a bucket."""
    clock = store.clock if store else Clock()
    return MemoryServices(
        settings=settings,
        store=store or MemoryStore(settings.bucket_name, clock),
        jobs=MemoryJobs(),
        hosting=MemoryHosting(clock),
        alarms=MemoryAlarms(),
        registry=MemoryRegistry(),
        scaling=MemoryScaling(),
        inference=MemoryInference(),
        bus=MemoryBus(),
        queues=MemoryQueues(),
        intake=MemoryIntake(),
        now=clock.now,
        clock=clock,
    )
