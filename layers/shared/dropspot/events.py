"""The envelopes that wake functions. Nothing downstream sees a raw event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """An object of the data bucket was created or deleted; `body` is the message as it came."""

    key: str
    time: datetime
    body: str

    @classmethod
    def from_message(cls, body: str) -> "ObjectEvent":
        """Return the event of an SQS message that EventBridge delivered. S3 states keys verbatim there: no decoding."""
        event = json.loads(body)
        return cls(event["detail"]["object"]["key"], datetime.fromisoformat(event["time"]), body)


@dataclass(frozen=True, slots=True)
class JobCommand:
    """A rule's command about one job; `cause` is the id of the event that led to it."""

    job: str
    cause: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "JobCommand":
        return cls(event["job"], event["cause"])


@dataclass(frozen=True, slots=True)
class RetrainingCommand:
    """A retraining is asked for: of the named data set, or (None) of the one that is served.

    `requested_at` is the event's time. Anybody may put the event on the bus, so `dataset` is whatever they said.
    """

    dataset: Any
    cause: str
    requested_at: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "RetrainingCommand":
        request = event["request"]
        dataset = request.get("dataset") or None if isinstance(request, dict) else request
        return cls(dataset, event["cause"], event["requested_at"])


@dataclass(frozen=True, slots=True)
class RollbackCommand:
    """A rollback is asked for: to the named run, or (None) to the one before; `requested_at` is the event's time.

    Anybody may put the event on the bus, so `run_id` is whatever they said.
    """

    run_id: Any
    cause: str
    requested_at: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "RollbackCommand":
        request = event["request"]
        run_id = request.get("run_id") or None if isinstance(request, dict) else request
        return cls(run_id, event["cause"], event["requested_at"])


@dataclass(frozen=True, slots=True)
class PackageCommand:
    """A rule's command about one version in the model registry, by its ARN."""

    package: str
    cause: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "PackageCommand":
        return cls(event["package"], event["cause"])
