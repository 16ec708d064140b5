"""The request to put an earlier run's model back into service."""

from typing import Any

from dropspot.endpoint import ROLLBACK_REQUESTED
from dropspot.errors import InvalidInputError
from dropspot.rollback import run_to_restore
from dropspot.services import Services
from dropspot.settings import Settings


def request_rollback(services: Services[Settings], body: Any) -> dict[str, str]:
    """Put the request on the bus; return the event's id, and the run that is meant.

    Without a run it is the one before. InvalidInputError: the body states anything but a run's id, or the run was
    never in service. NotFoundError: no such run.
    """
    if not isinstance(body, dict) or body.keys() - {"run_id"}:
        raise InvalidInputError('the body may only state {"run_id": "<id>"}')
    run = run_to_restore(services.store, services.settings.app_name, body.get("run_id"))
    return {"event_id": services.bus.put(ROLLBACK_REQUESTED, {"run_id": run.run_id}), "run_id": run.run_id}
