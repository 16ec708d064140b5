"""Asynchronous endpoints: InvokeEndpointAsync, the queue behind it, the answers in S3, and the notifications.

As the developer guide's "Asynchronous inference" has it: a request names its input in S3 and is answered at once with
where the output will lie; it waits for an instance up to RequestTTLSeconds (six hours by default); the output is
`<S3OutputPath>/<id>.out`; a response that isn't 200 goes to S3FailurePath; and the topics are told by messages of the
event InferenceResult. Input is read, output written and topics told under the model's execution role.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dropspot_local.sagemaker import staging
from dropspot_local.sagemaker.authorization import role_session
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import Response, ServiceError
from dropspot_local.sagemaker.fleet import Fleet
from dropspot_local.sagemaker.serving import Answer, InvocationTimeoutError
from dropspot_local.sagemaker.state import Record, Site

if TYPE_CHECKING:
    from dropspot_local.sagemaker.endpoints import Endpoints

logger = logging.getLogger("dropspot_local")

LONGEST_WAIT_SECONDS = 21_600
INVOCATION_SECONDS = 900
DEFAULT_CONCURRENCY = 4
"""Where ClientConfig doesn't say, SageMaker chooses a number."""
LARGEST_INPUT = 1 << 30
_HEADER = "x-amzn-sagemaker-"


@dataclass(frozen=True, slots=True)
class Request:
    """One InvokeEndpointAsync."""

    endpoint: str
    inference_id: str
    source: str
    output: str
    failure: str
    headers: dict[str, str]  # for the container
    parameters: dict[str, str]  # as the notification repeats them
    topics: dict[str, str]
    seconds: float
    received: float = field(default_factory=time.time)
    ttl: float = LONGEST_WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class Capacity:
    """How an endpoint's instances come and go: the fewest, how long an idle one is kept, whether requests wake it."""

    fewest: int
    idle_seconds: float | None = None
    wakes: bool = False


def invoke(endpoints: Endpoints, account: str, name: str, headers: dict[str, str]) -> Response:
    """Put a request in the endpoint's queue. `headers` have lower-case names."""
    queue, config = endpoints.queue(name)
    if config is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {account} not found.")
    if queue is None or "AsyncInferenceConfig" not in config:
        raise ServiceError(
            "ValidationError", f"Endpoint {name} of account {account} is not asynchronous: call InvokeEndpoint."
        )
    request = _request(name, config["AsyncInferenceConfig"]["OutputConfig"], headers)
    queue.put(request)
    told = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": request.output}
    if request.failure:
        told["X-Amzn-SageMaker-FailureLocation"] = request.failure
    return 202, told, json.dumps({"InferenceId": request.inference_id}).encode()


def _request(name: str, output: Record, headers: dict[str, str]) -> Request:
    for unknown in ("s3outputpathextension", "filename"):
        if _HEADER + unknown in headers:
            raise ServiceError("ValidationError", f"The embedded cloud doesn't support the header {_HEADER}{unknown}.")
    source = headers.get(f"{_HEADER}inputlocation", "")
    try:
        staging.S3Location.parse(source)
    except staging.StagingError:
        raise ServiceError(
            "ValidationError", f"InputLocation must be the S3 URI of an object, not {source!r}."
        ) from None
    identity = str(uuid.uuid4())
    parameters = {"endpointName": name, "inputLocation": source}
    passed = {"Content-Type": "application/octet-stream", "Accept": "*/*"}
    for header, field_name, passed_name in (
        ("content-type", "contentType", "Content-Type"),
        ("accept", "accept", "Accept"),
        ("custom-attributes", "customAttributes", f"{_HEADER}custom-attributes"),
    ):
        if value := headers.get(_HEADER + header):
            parameters[field_name] = passed[passed_name] = value
    failure = f"{output['S3FailurePath'].rstrip('/')}/{identity}-error.out" if output.get("S3FailurePath") else ""
    return Request(
        endpoint=name,
        inference_id=headers.get(f"{_HEADER}inference-id") or str(uuid.uuid4()),
        source=source,
        output=f"{output['S3OutputPath'].rstrip('/')}/{identity}.out",
        failure=failure,
        headers=passed,
        parameters=parameters,
        topics=output.get("NotificationConfig", {}),
        seconds=float(headers.get(f"{_HEADER}invocationtimeoutseconds", INVOCATION_SECONDS)),
        ttl=float(headers.get(f"{_HEADER}requestttlseconds", LONGEST_WAIT_SECONDS)),
    )


class AsyncQueue:
    """The requests that wait for an endpoint's instances, and the threads that bring them there."""

    def __init__(
        self, site: Site, concurrency: int, serving: Callable[[None], AbstractContextManager[Fleet | None]]
    ) -> None:
        self._site, self._serving = site, serving
        self._waiting: deque[Request] = deque()
        self._busy = 0
        self._changed = threading.Condition()
        self._closed = False
        for _ in range(concurrency):
            threading.Thread(target=copy_context().run, args=(self._work,), daemon=True).start()

    @property
    def backlog(self) -> int:
        """How many requests wait or are at work: ApproximateBacklogSize."""
        with self._changed:
            return len(self._waiting) + self._busy

    def put(self, request: Request) -> None:
        """Let a request wait for its turn."""
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()

    def close(self) -> None:
        """Forget the requests that wait: the endpoint goes."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                request = self._waiting.popleft()
                self._busy += 1
            try:
                done = self._attempt(request)
            except Exception:
                logger.exception("Asynchronous request %s", request.inference_id)
                done = True
            with self._changed:
                self._busy -= 1
                if not done and not self._closed:
                    self._waiting.appendleft(request)
            if not done:
                time.sleep(0.2)  # no instance yet

    def _attempt(self, request: Request) -> bool:
        """Answer the request; False where there is no instance that could."""
        with self._serving(None) as fleet:
            if fleet is None:
                return False
            clients = Clients(self._site, role_session(self._site, fleet.role, request.endpoint))
            if time.time() - request.received > request.ttl:
                self._tell(clients, request, reason="ClientError: The request expired before it was processed.")
                return True
            try:
                body = b"".join(staging.read_object(clients["s3"], staging.S3Location.parse(request.source)))
            except staging.StagingError as error:
                self._tell(clients, request, reason=str(error))
                return True
            try:
                answer: Answer = fleet.servers[fleet.choose()].invoke(body, request.headers, request.seconds)
            except InvocationTimeoutError:
                self._tell(clients, request, reason="ClientError: The model did not respond in time.")
                return True
        if answer.status == 200:
            _write(clients, request.output, answer)
            self._tell(clients, request, answer=answer)
            return True
        if request.failure:
            _write(clients, request.failure, answer)
        side = "client" if 400 <= answer.status < 500 else "server"
        reason = (
            f"ClientError: Received {side} error ({answer.status}) from model. See the SageMaker Endpoint logs in your "
            "account for more information."
        )
        self._tell(clients, request, reason=reason)
        return True

    def _tell(self, clients: Clients, request: Request, *, answer: Answer | None = None, reason: str = "") -> None:
        topic = request.topics.get("SuccessTopic" if answer else "ErrorTopic")
        if topic is None:
            return
        message: dict[str, Any] = {
            "awsRegion": self._site.region,
            "eventTime": _moment(time.time()),
            "receivedTime": _moment(request.received),
            "invocationStatus": "Completed" if answer else "Failed",
            "requestParameters": request.parameters,
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        if answer:
            message["responseParameters"] = {"contentType": answer.content_type, "outputLocation": request.output}
        else:
            message["failureReason"] = reason
        clients["sns"].publish(TopicArn=topic, Message=json.dumps(message))


def _write(clients: Clients, uri: str, answer: Answer) -> None:
    target = staging.S3Location.parse(uri)
    clients["s3"].put_object(Bucket=target.bucket, Key=target.key, Body=answer.body, ContentType=answer.content_type)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
