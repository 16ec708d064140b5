"""`dropspot approve` and `dropspot reject`: decide on a model that has passed the gate and waits in the registry."""

from dropspot import documents
from dropspot.aws import SageMakerRegistry
from dropspot.errors import InvalidInputError
from dropspot.ports import APPROVED, PENDING, Registry
from dropspot_cli.runs import run_named, runs_awaiting_approval
from dropspot_cli.stack import Stack


def decide(stack: Stack, run_id: str, approval: str, note: str, registry: Registry | None = None) -> str:
    """Write the decision into the registry, from where an event carries it on; return the run's id.

    Without a run it is the one that waits. InvalidInputError: none waits, several do, or this one was decided on. What
    was rejected may be approved all the same.
    """
    registry = registry or SageMakerRegistry()
    run = run_named(stack.app, run_id or _the_one_that_waits(stack), stack.store)
    package = documents.read_or_none(stack.store, run.key("package.json"))
    if package is None:
        verdict = documents.read_or_none(stack.store, run.key("verdict.json")) or {}
        why = verdict.get("rule") or "it has not passed the gate yet"
        raise InvalidInputError(f"There is nothing to decide on in the run {run.run_id}: {why}.")
    present = registry.package(package["arn"]).approval
    if present == approval:
        raise InvalidInputError(f"The model of {run.run_id} is {present.lower()} already.")
    if present not in {PENDING, approval} and approval != APPROVED:
        raise InvalidInputError(
            f"The model of {run.run_id} was approved: to take it out of service, deploy another run again."
        )
    registry.decide(package["arn"], approval, note)
    return run.run_id


def _the_one_that_waits(stack: Stack) -> str:
    waiting = runs_awaiting_approval(stack.store)
    if len(waiting) != 1:
        many = f"name one of {', '.join(waiting)}" if waiting else "`dropspot runs` lists what there is"
        raise InvalidInputError(
            f"{len(waiting) or 'No'} model{'s wait' if waiting else ' waits'} for approval: {many}."
        )
    return waiting[0]
