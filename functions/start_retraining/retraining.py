"""Which data set a request to retrain means."""

from typing import Any

from dropspot import documents, endpoint
from dropspot.datasets import is_name
from dropspot.errors import InvalidInputError
from dropspot.events import RetrainingCommand
from dropspot.services import Services


def dataset_to_retrain(command: RetrainingCommand, services: Services[Any]) -> str:
    """Return the data set that is named, else the one that the stack serves; raise InvalidInputError for neither."""
    if command.dataset is not None and not is_name(command.dataset):
        raise InvalidInputError(f"retrain: {str(command.dataset)[:80]!r} is no data set's name")
    served = documents.read_or_none(services.store, endpoint.DESIRED) or {}
    dataset = command.dataset or services.settings.served_dataset or served.get("dataset")
    if not dataset:
        raise InvalidInputError("retrain: no data set is named, and none is in service yet")
    return str(dataset)
