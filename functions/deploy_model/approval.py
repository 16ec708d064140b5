"""What becomes of a version in the model registry once it is approved or rejected."""

from typing import Any

from dropspot import documents
from dropspot.desired import Objection, want
from dropspot.endpoint import ENDPOINT_DESIRED, MODEL_REFUSED, Deployment
from dropspot.errors import InvalidInputError
from dropspot.failures import notice
from dropspot.ports import APPROVED, PENDING, ObjectStore
from dropspot.runs import Run
from dropspot.services import Services
from gate import PASSED


def apply_approval(arn: str, services: Services[Any]) -> str | None:
    """Do what the version's approval says; return it, None where nothing is to be done.

    Nothing is, where it waits for approval still, where the gate hasn't left its verdict yet, where this was done
    before, and where it was approved before: a model that went into service is taken out by a rollback.
    InvalidInputError: the version names no run of ours.
    """
    store = services.store
    package = services.registry.package(arn)
    run = Run.from_id(services.settings.app_name, package.run_id)
    earlier = (documents.read_or_none(store, run.key("approval.json")) or {}).get("status")
    if package.approval == PENDING or earlier in {APPROVED, package.approval}:
        return None
    candidate = candidate_of(services, run)
    if is_being_judged(store, run):
        return None
    objection = None
    if package.approval == APPROVED:
        objection = objection_of_run(store, run) or put_into_service(services, candidate, "approved")
        if objection:
            without_effect(services, candidate, objection.message)
    else:
        told = notice(f"The model of run {run.run_id} was rejected" + (f": {package.note}" if package.note else ""))
        services.bus.put(MODEL_REFUSED, {"run_id": run.run_id, "dataset": candidate.dataset, "notice": told})
    record_approval(services, run, package.approval, package.note, objection)
    return package.approval


def is_being_judged(store: ObjectStore, run: Run) -> bool:
    """Tell whether the gate is at it still: then it is its own approval, or a decision that resume_runs finds."""
    return all(store.head(run.key(ended)) is None for ended in ("verdict.json", "failure.json"))


def objection_of_run(store: ObjectStore, run: Run) -> Objection | None:
    """Return why no approval brings the run's model into service, None where one may: it has passed the gate."""
    if failure := documents.read_or_none(store, run.key("failure.json")):
        return Objection(f"its run has failed: {failure['message']}")
    verdict = documents.read_or_none(store, run.key("verdict.json"))
    if verdict and verdict["status"] != PASSED:
        return Objection(f"the gate has kept it out: {verdict['rule']}")
    return None


def without_effect(services: Services[Any], candidate: Deployment, reason: str) -> None:
    """Tell that an approved model doesn't go into service."""
    run_id = candidate.run.run_id
    told = notice(f"The model of run {run_id} was approved and doesn't go into service: {reason}")
    services.bus.put(MODEL_REFUSED, {"run_id": run_id, "dataset": candidate.dataset, "notice": told})


def candidate_of(services: Services[Any], run: Run) -> Deployment:
    """Return the run as what may be in service; raise InvalidInputError where there is no such run."""
    identity = documents.read_or_none(services.store, run.key("run.json"))
    if identity is None:
        raise InvalidInputError(f"there is no run {run.run_id}")
    return Deployment(run, identity["dataset"], identity["created_at"])


def put_into_service(services: Services[Any], candidate: Deployment, cause: str) -> Objection | None:
    """Make the candidate what should be in service; return why it isn't, None where it is wanted."""
    objection = want(services.store, candidate, services.settings.served_dataset, cause)
    if objection is None:
        services.bus.put(ENDPOINT_DESIRED, {"run_id": candidate.run.run_id})
    return objection


def record_approval(
    services: Services[Any], run: Run, status: str, note: str = "", objection: Objection | None = None
) -> None:
    """Write approval.json, after all that it entails: without it, the next delivery does that again."""
    document = {
        "status": status,
        "note": note,
        "objection": objection.message if objection else "",
        "at": documents.timestamp(services.now()),
    }
    documents.write(services.store, run.key("approval.json"), document)
