"""Has an upload settled? Decided from the listing and the messages of one batch."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from dropspot.datasets import Listing, dataset_of
from dropspot.errors import InvalidInputError
from dropspot.events import ObjectEvent

# Events and listings state whole seconds; S3 doesn't promise that both round the same moment alike.
_CLOCK_TOLERANCE = timedelta(seconds=1)

STRAY = ""


class Upload(Enum):
    """Where the upload of a data set stands."""

    SETTLED = "settled"
    GROWING = "growing"  # something newer is there, and its own message is still to come
    UPLOADING = "uploading"  # a multipart upload is open
    EMPTY = "empty"  # nothing, or only a plan


def by_dataset(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, ObjectEvent]]:
    """Return the SQS records' events by message id, by data set; objects outside any data set under STRAY."""
    groups: dict[str, dict[str, ObjectEvent]] = {}
    for record in records:
        event = ObjectEvent.from_message(record["body"])
        try:
            dataset = dataset_of(event.key)
        except InvalidInputError:
            dataset = STRAY
        groups.setdefault(dataset, {})[record["messageId"]] = event
    return groups


def newest(events: Iterable[ObjectEvent]) -> ObjectEvent:
    """Return the event that happened last."""
    return max(events, key=lambda event: event.time)


def state_of(listing: Listing, last: ObjectEvent, *, has_open_upload: bool) -> Upload:
    """Return where the upload stands, as the message of `last` comes in, the settle time after it happened."""
    if has_open_upload:
        return Upload.UPLOADING
    if not listing.content:
        return Upload.EMPTY
    if listing.newest is not None and listing.newest > last.time + _CLOCK_TOLERANCE:
        return Upload.GROWING
    return Upload.SETTLED
