"""`dropspot retrain`: ask for a new attempt with the data set as it is now."""

from dropspot.aws import EventBridgeBus
from dropspot.datasets import prefix_of
from dropspot.errors import NotFoundError
from dropspot_cli.stack import Stack

RETRAINING_REQUESTED = "Retraining Requested"


def request_retraining(stack: Stack, dataset: str) -> str:
    """Put the request on the bus and return the event's id; an empty name means the data set in service."""
    if dataset and next(stack.store.objects(prefix_of(dataset)), None) is None:
        raise NotFoundError(f"There is no data set {dataset}: s3://{stack.bucket}/{prefix_of(dataset)} holds nothing.")
    return EventBridgeBus(stack.app).put(RETRAINING_REQUESTED, {"dataset": dataset} if dataset else {})
