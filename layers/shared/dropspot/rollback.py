"""Which run a rollback means: one that has been in service, by default the champion before."""

from typing import Any

from dropspot import documents
from dropspot.endpoint import CHAMPION, Deployment
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import ObjectStore
from dropspot.runs import Run, digest


def run_to_restore(store: ObjectStore, app: str, run_id: Any = None) -> Run:
    """Return the run that is named, else the champion before the present one.

    InvalidInputError: it was never in service, or there was none before. NotFoundError: there is no such run.
    """
    if run_id is None:
        before = (documents.read_or_none(store, CHAMPION) or {}).get("before", [])
        if not before:
            raise InvalidInputError("roll back: no model was in service before the present one")
        return Run.from_id(app, before[0])
    if not isinstance(run_id, str):
        raise InvalidInputError(f"roll back: {str(run_id)[:80]!r} is no run's id")
    run = Run.from_id(app, run_id)
    if store.head(run.key("champion.json")) is None:
        if store.head(run.key("run.json")) is None:
            raise NotFoundError(f"roll back: there is no run {run_id}")
        raise InvalidInputError(f"roll back: the model of run {run_id} has never been in service")
    return run


def requested_run(store: ObjectStore, app: str, run_id: Any, request: str) -> Run:
    """Return the run that a request means, for one request always the same.

    The event of one that names no run may come twice, the second time when the champion before is another one.
    Raises as run_to_restore does.
    """
    if run_id is not None:
        return run_to_restore(store, app, run_id)
    key = f"endpoint/rollbacks/{digest(request)}.json"
    if documents.read_or_none(store, key) is None:
        documents.write_once(store, key, {"run_id": run_to_restore(store, app).run_id, "request": request})
    return Run.from_id(app, documents.read(store, key)["run_id"])


def restoration_of(store: ObjectStore, run: Run, requested_at: str) -> Deployment:
    """Return the deployment of a run of before that is asked for now."""
    identity = documents.read(store, run.key("run.json"))
    return Deployment(run, identity["dataset"], identity["created_at"], requested_at)
