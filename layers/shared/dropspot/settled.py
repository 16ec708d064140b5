"""Since when the champion's model alone has answered: an answer that names nobody is the champion's only from then on.

reconcile_endpoint sees to `endpoint/settled.json` at the end of each pass, also that in which it asks for a deployment,
long before its model answers. However the deployment ends, `since` is later than that.
"""

from dataclasses import dataclass
from datetime import datetime

from dropspot import documents
from dropspot.ports import Endpoint, ObjectStore
from dropspot.runs import Run

SETTLED = "endpoint/settled.json"


@dataclass(frozen=True, slots=True)
class Settled:
    """The run whose model has answered alone since the moment given."""

    run_id: str
    since: datetime

    @classmethod
    def read(cls, store: ObjectStore) -> "Settled | None":
        """Return whose model answers alone, None while that isn't certain."""
        document = documents.read_or_none(store, SETTLED)
        if not document or not document["run_id"]:
            return None
        return cls(document["run_id"], datetime.fromisoformat(document["since"]))

    def has_answered(self, asked_at: datetime | None) -> bool:
        """Tell whether it is certain that this run's model dealt with what was asked at that time."""
        return asked_at is not None and asked_at > self.since


def note(store: ObjectStore, endpoint: Endpoint | None, champion: Run | None, now: datetime) -> None:
    """Write down whose model answers alone, where that has changed.

    `since` is when this was seen, somewhat after it began. Whatever isn't surely the champion alone is nobody.
    """
    run_id = None
    if endpoint and champion and endpoint.config == champion.endpoint_config and not endpoint.has_two_models:
        if endpoint.status in {"Updating", "SystemUpdating"}:
            return  # it is scaled: the same model answers before, meanwhile and after
        run_id = champion.run_id if endpoint.status == "InService" else None
    present = documents.read_or_none(store, SETTLED)
    if present is None or present["run_id"] != run_id:
        documents.write(store, SETTLED, {"run_id": run_id, "since": now.isoformat()})
