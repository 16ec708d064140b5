"""The endpoint's two documents: what should be in service, and what is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropspot.runs import Run

DESIRED = "endpoint/desired.json"
CHAMPION = "endpoint/champion.json"

ENDPOINT_DESIRED = "Endpoint Desired"
MODEL_DEPLOYED = "Model Deployed"
MODEL_REFUSED = "Model Refused"
MODEL_AWAITS_APPROVAL = "Model Awaits Approval"
ROLLBACK_REQUESTED = "Rollback Requested"
ROLLBACK_FAILED = "Rollback Failed"
ENDPOINT_STUCK = "Endpoint Stuck"

REMEMBERED = 20  # former champions that champion.json names


def asleep_alarm(app: str) -> str:
    """Return the name of the alarm that wakes an asynchronous endpoint up."""
    return f"{app}-endpoint-asleep"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A run whose model is, or should be, in service; `created_at` is when the run began (ISO 8601).

    `requested_at` is when a rollback to it was asked for, empty where the run came by its own road.
    """

    run: Run
    dataset: str
    created_at: str
    requested_at: str = ""

    @classmethod
    def from_document(cls, app: str, document: Mapping[str, Any]) -> "Deployment":
        run = Run.from_id(app, document["run_id"])
        return cls(run, document["dataset"], document["created_at"], document.get("requested_at", ""))

    @property
    def document(self) -> dict[str, Any]:
        return {
            "run_id": self.run.run_id,
            "dataset": self.dataset,
            "endpoint_config": self.run.endpoint_config,
            "created_at": self.created_at,
        } | ({"requested_at": self.requested_at} if self.requested_at else {})

    @property
    def order(self) -> tuple[str, bool, str]:
        """What is asked for last is wanted: a run by when it began, a rollback by when it was requested."""
        return self.requested_at or self.created_at, bool(self.requested_at), self.run.run_id


def wanted_in(app: str, document: Mapping[str, Any] | None) -> tuple[Deployment, ...]:
    """Return what a desired.json, read, asks for: the first of it, then what stands in where that fails."""
    if not document:
        return ()
    return tuple(Deployment.from_document(app, found) for found in (document, *document.get("behind", [])))


def champions_before(champion: Mapping[str, Any] | None, successor: Run) -> list[str]:
    """Return the ids of the runs that were in service before the successor, the last of them first.

    Whoever returns to a former champion leaves behind what came after it: the next step back leads further back.
    """
    if champion is None:
        return []
    line = [champion["run_id"], *champion.get("before", [])]
    if successor.run_id in line:
        return line[line.index(successor.run_id) + 1 :]
    return line[:REMEMBERED]
