"""The request to train again."""

from typing import Any

from dropspot.datasets import is_name, prefix_of
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.services import Services
from dropspot.settings import Settings

RETRAINING_REQUESTED = "Retraining Requested"


def request_retraining(services: Services[Settings], body: Any) -> str:
    """Put the request on the bus and return the event's id, which the new run will name as its cause.

    InvalidInputError: the body states anything but a data set's name. NotFoundError: no such data set.
    """
    if not isinstance(body, dict) or body.keys() - {"dataset"}:
        raise InvalidInputError('the body may only state {"dataset": "<name>"}')
    if "dataset" not in body:
        return services.bus.put(RETRAINING_REQUESTED, {})  # whichever is in service
    dataset = body["dataset"]
    if not is_name(dataset):
        raise InvalidInputError("dataset must be the name of a folder under datasets/")
    if next(iter(services.store.objects(prefix_of(dataset))), None) is None:
        raise NotFoundError(f"there is no data set {dataset}")
    return services.bus.put(RETRAINING_REQUESTED, {"dataset": dataset})
