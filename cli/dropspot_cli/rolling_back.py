"""`dropspot rollback`: ask for an earlier run's model to be in service again."""

from dropspot.aws import EventBridgeBus
from dropspot.endpoint import ROLLBACK_REQUESTED
from dropspot.rollback import run_to_restore
from dropspot_cli.stack import Stack


def request_rollback(stack: Stack, run_id: str) -> tuple[str, str]:
    """Put the request on the bus; return the run's id and the event's. Without a run it is the one before."""
    run = run_to_restore(stack.store, stack.app, run_id or None)
    return run.run_id, EventBridgeBus(stack.app).put(ROLLBACK_REQUESTED, {"run_id": run.run_id})
