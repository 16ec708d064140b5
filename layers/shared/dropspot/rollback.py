"""Which run a rollback means: one that has been in service, by default the one before what should be in service now."""

from typing import Any

from dropspot import documents
from dropspot.desired import had_failed, target_of
from dropspot.endpoint import CHAMPION, DESIRED, Deployment, champions_before, wanted_in
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import ObjectStore
from dropspot.runs import Run, digest

_NOW = "9999"  # later than whatever is written down


def run_to_restore(store: ObjectStore, app: str, run_id: Any = None, requested_at: str = _NOW) -> Run:
    """Return the run that is named, else the one in service before the one that should be when it was asked for.

    While a deployment is under way that is the champion: the rollback calls the deployment off.

    InvalidInputError: it was never in service, or there was none before. NotFoundError: there is no such run.
    """
    if run_id is None:
        before = _runs_before(store, app, requested_at)
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


def _runs_before(store: ObjectStore, app: str, requested_at: str) -> list[str]:
    """Return the ids of the runs that were in service before the one that should be, the last of them first.

    The request may come late: one that began after it wasn't a candidate yet, and one that has failed since still was.
    """
    document = documents.read_or_none(store, CHAMPION)
    champion = Deployment.from_document(app, document) if document else None
    wanted = [
        found
        for found in wanted_in(app, documents.read_or_none(store, DESIRED))
        if (found.requested_at or found.created_at) <= requested_at
    ]
    target = target_of(wanted, champion, lambda candidate: had_failed(store, candidate, requested_at))
    return champions_before(document, target.run) if target else []


def requested_run(store: ObjectStore, app: str, run_id: Any, cause: str, requested_at: str) -> Run:
    """Return the run that a request means, for one request always the same.

    The event of one that names no run may come twice, the second time when the champion before is another one.
    Raises as run_to_restore does.
    """
    if run_id is not None:
        return run_to_restore(store, app, run_id, requested_at)
    request = f"{cause} of {requested_at}"
    key = f"endpoint/rollbacks/{digest(request)}.json"
    if documents.read_or_none(store, key) is None:
        run = run_to_restore(store, app, requested_at=requested_at)
        documents.write_once(store, key, {"run_id": run.run_id, "request": request})
    return Run.from_id(app, documents.read(store, key)["run_id"])


def restoration_of(store: ObjectStore, run: Run, requested_at: str) -> Deployment:
    """Return the deployment of a run of before that is asked for now."""
    identity = documents.read(store, run.key("run.json"))
    return Deployment(run, identity["dataset"], identity["created_at"], requested_at)
