"""What the pipeline asks of the world, named for the role: `dropspot.aws` answers on AWS, `testing` in memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from dropspot.datasets import StoredObject

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """An object's bytes with the identity they were read under; `size` is the object's, also where no body was read."""

    body: bytes
    etag: str
    version_id: str | None
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """The current version of an object, without its bytes; `modified` is when it was written."""

    etag: str
    version_id: str | None
    modified: datetime


class ObjectStore(Protocol):
    """A bucket: the data bucket, and those that `sibling` gives."""

    bucket: str

    def sibling(self, bucket: str) -> "ObjectStore":
        """Return another bucket; whether it exists shows when it is used."""

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Yield every object below the prefix, in the order of keys; only those that come after the key `after`."""

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        """Return the objects that come after the key, in the order of keys, `most` at most; none is the end.

        NotFoundError: there is no such bucket. InvalidInputError: it may not be listed.
        """

    def children(self, prefix: str) -> list[str]:
        """Return the names directly below a prefix that ends with a slash; folders keep their slash."""

    def has_open_upload(self, prefix: str) -> bool:
        """Tell whether a multipart upload below the prefix has begun and not ended."""

    def head(self, key: str) -> str | None:
        """Return the object's ETag, None where there is no such object."""

    def version(self, key: str) -> ObjectVersion | None:
        """Return the object's current version, None where there is no such object."""

    def read(self, key: str, *, limit: int | None = None) -> StoredBytes:
        """Return the object, of one with more than `limit` bytes all but its body; raise NotFoundError."""

    def pieces(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes, a mebibyte at a time at most; raise NotFoundError. Stopping early is cheap."""

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/json",
    ) -> bool:
        """Write a document; return False where the condition doesn't hold, and nothing was written."""

    def delete(self, key: str) -> None:
        """Remove the object; one that isn't there is no error."""


class JobKind(Enum):
    """The kinds of SageMaker jobs that a run consists of."""

    PROCESSING = "ProcessingJob"
    TRAINING = "TrainingJob"
    TUNING = "HyperParameterTuningJob"
    TRANSFORM = "TransformJob"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as SageMaker describes it; `reason` is its own sentence on why it failed, or empty.

    A tuning job's model is the one of its best training job.
    """

    name: str
    status: str
    reason: str = ""
    model_data: str = ""

    @property
    def has_failed(self) -> bool:
        return self.status in {"Failed", "Stopped"}


class Jobs(Protocol):
    """SageMaker's jobs."""

    def start(self, kind: JobKind, request: Request) -> bool:
        """Create the job; return False where its name is taken. InvalidInputError: refused as it stands."""

    def describe(self, kind: JobKind, name: str) -> Job:
        """Return the job; raise NotFoundError."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as SageMaker describes it; `variant` names its production variant, empty while there is none.

    `pending` is the config that it is being changed to, empty also while it is only scaled.
    It is asynchronous or not from its creation on: no update makes one kind into the other.
    """

    status: str
    config: str
    modified: datetime
    reason: str = ""
    variant: str = ""
    pending: str = ""
    is_asynchronous: bool = False

    @property
    def answers(self) -> bool:
        """Whether it takes requests: it does also while it is changed or scaled."""
        return self.status in {"InService", "Updating", "SystemUpdating", "RollingBack"}

    @property
    def has_two_models(self) -> bool:
        """Whether one model is replacing another, or coming back: whatever is pending is taken for another."""
        return self.status == "RollingBack" or self.pending != ""


class Hosting(Protocol):
    """SageMaker's models, endpoint configs and endpoints. Creating what exists already is no error."""

    def create_model(self, request: Request) -> None: ...

    def create_endpoint_config(self, request: Request) -> None: ...

    def endpoint_config(self, name: str) -> Request | None:
        """Return what CreateEndpointConfig was asked for, None where there is no such config."""

    def endpoint(self, name: str) -> Endpoint | None:
        """Return the endpoint, None where there is none."""

    def create_endpoint(self, request: Request) -> None: ...

    def update_endpoint(self, request: Request) -> None: ...

    def delete_endpoint(self, name: str) -> None: ...

    def endpoint_configs(self, prefix: str) -> list[str]:
        """Return the names of the endpoint configs that begin with the prefix, oldest first."""

    def delete_endpoint_config(self, name: str) -> None: ...

    def model_names(self, prefix: str) -> list[str]:
        """Return the names of the models that begin with the prefix, oldest first."""

    def delete_model(self, name: str) -> None: ...


class Alarms(Protocol):
    """CloudWatch's alarms."""

    def put(self, request: Request) -> None:
        """Make the alarm, or make it over; InvalidInputError: refused as it stands."""

    def delete(self, names: Sequence[str]) -> None:
        """Remove the alarms; those that aren't there are no error."""


APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
RUN_ID = "run_id"  # the customer metadata that names a package's run


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A version in the model registry: how its approval stands, and the run that it is of (empty: nobody's we know)."""

    arn: str
    approval: str
    run_id: str
    note: str = ""


class Registry(Protocol):
    """The model registry: a group of model packages, numbered as they come."""

    def register(self, request: Request) -> str:
        """Create a version and return its ARN; a repeated ClientToken gives the one that is there."""

    def find(self, group: str, description: str) -> str | None:
        """Return the ARN of the group's newest version with this description, None where there is none."""

    def package(self, arn: str) -> ModelPackage:
        """Return the version; raise NotFoundError."""

    def decide(self, arn: str, approval: str, note: str = "") -> None:
        """Approve or reject the version; raise NotFoundError."""


class Scaling(Protocol):
    """Application Auto Scaling of the endpoint's variant."""

    def is_in_force(self, target: Request, policy: Request) -> bool:
        """Tell whether the target is registered and its policy there, both as the requests for them say."""

    def register(self, target: Request) -> None: ...

    def put_policy(self, request: Request) -> str:
        """Make the policy, or make it over, and return its ARN; InvalidInputError: refused as it stands."""

    def deregister(self, resource_id: str) -> None:
        """Let the variant go, with its policies; one that isn't registered is no error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said of one image, and who: the production variant, and what its container says of itself."""

    body: bytes
    variant: str
    attributes: str = ""


class Inference(Protocol):
    """The endpoint's runtime."""

    def invoke(self, endpoint: str, image: bytes) -> Answer:
        """Return the prediction.

        InvalidInputError: the model's container refused the image. NotFoundError: no endpoint is in service.
        TransientError: throttled, or the container failed.
        """

    def submit(self, endpoint: str, input_uri: str, inference_id: str) -> None:
        """Ask for a prediction of the image in S3, which comes as a notification with the inference's id.

        NotFoundError: no endpoint is in service. TransientError: throttled.
        """


class EventBus(Protocol):
    """The default event bus; the events' source is the application's name."""

    def put(self, detail_type: str, detail: Mapping[str, object]) -> str:
        """Put the event on the bus and return its id; raise TransientError where the bus doesn't take it."""

    def put_all(self, events: Sequence[tuple[str, Mapping[str, object]]]) -> list[bool]:
        """Put events, as detail type and detail, in as few calls as may be; return for each whether the bus took it."""


class Queues(Protocol):
    """The two queues, named by their URL."""

    def send(self, queue_url: str, body: str, delay_seconds: int, **attributes: str) -> None:
        """Send a message, which appears after so many seconds; `attributes` are its own, by name."""

    def send_all(self, queue_url: str, bodies: Iterable[str]) -> int:
        """Send messages in as few calls as may be; return how many. TransientError: not all were taken."""

    def waiting(self, queue_url: str) -> int:
        """Return about how many messages the queue holds, those in flight and delayed ones included."""

    def set_aside(self, queue_url: str, body: str, code: str, message: str) -> None:
        """Send a message that can't be dealt with to a dead-letter queue, with the reason as EventBridge states it."""

    def postpone(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        """Let a received message appear again after so many seconds."""


class Intake(Protocol):
    """The event source mapping that feeds the image queue to detect_objects."""

    def is_open(self, mapping_id: str) -> bool: ...

    def set_open(self, mapping_id: str, wanted: bool) -> None:
        """Ask for the state; raise TransientError while the mapping is in between two states."""
