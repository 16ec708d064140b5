"""What is asked for, and the model that will answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from dropspot import documents, endpoint
from dropspot.backfills import BackfillRequest
from dropspot.errors import InvalidInputError
from dropspot.images import Model
from dropspot.looking import served_model
from dropspot.ports import ObjectStore
from dropspot.runs import Run

# After a deployment the model before answers what it was asked, and those answers are written, within this time.
_LAST_ANSWERS = timedelta(minutes=15)


class DetectionSettings(Protocol):
    """The part of the function's settings that the model depends on."""

    @property
    def app_name(self) -> str: ...
    @property
    def score_threshold(self) -> str: ...


@dataclass(frozen=True, slots=True)
class BackfillCommand:
    """The event as it came; `cause` is its id and `at` its time."""

    request: Any
    cause: str
    at: datetime

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "BackfillCommand":
        return cls(event["request"], event["cause"], datetime.fromisoformat(event["time"]))


def request_and_model(
    command: BackfillCommand, store: ObjectStore, settings: DetectionSettings
) -> tuple[BackfillRequest, Model]:
    """Return what the backfill looks at, and the model in service; raise InvalidInputError, also for want of one."""
    champion = documents.read_or_none(store, endpoint.CHAMPION)
    if champion is None:
        raise InvalidInputError(
            "no model is in service yet: images that are there by then are looked at without asking"
        )
    since = datetime.fromisoformat(champion["in_service_since"]) + _LAST_ANSWERS
    request = BackfillRequest.from_detail(command.request, command.at, min(since, command.at))
    run = Run.from_id(settings.app_name, champion["run_id"])
    return request, served_model(store, run, settings.score_threshold)  # type: ignore[arg-type]  # hashed by identity
