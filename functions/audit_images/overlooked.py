"""What outlived the image queue: found by comparing the listings of images and documents, once nobody is at it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote

from dropspot.awaiting import LONGEST_WAIT, MOST_FAILURES
from dropspot.comparison import Pair, orphans, pairs
from dropspot.datasets import StoredObject
from dropspot.images import ImageRef
from dropspot.look_again import look_again
from dropspot.ports import ObjectStore
from dropspot.services import Services

AUDIT_DUE = "Audit Due"

_PAGE = 1000
_IN_FLIGHT = timedelta(hours=1)  # after an image came, with an empty queue, nobody is at it any more
_AWAITED = _IN_FLIGHT + MOST_FAILURES * LONGEST_WAIT  # asked about again, it may wait as long again
_KEPT_BY_THE_QUEUE = timedelta(days=15)  # a day more than the queue keeps a message


@dataclass(frozen=True, slots=True)
class AuditCommand:
    """Where to go on: behind the key `after`, among the images or, after those, among the documents."""

    of: str = "images"
    after: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "AuditCommand":
        return cls(event["of"], unquote(event["after"]))

    @property
    def detail(self) -> dict[str, str]:
        return {"of": self.of, "after": quote(self.after)}  # a rule's input transformer escapes nothing


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages for the image queue, and where the comparison goes on, None at its end."""

    messages: list[str]
    then: AuditCommand | None


def settled_before(services: Services[Any], queue_url: str, *, asks: bool = False) -> datetime | None:
    """Return the moment before which everything has been dealt with that ever will; None while nobody answers.

    Without an endpoint the images wait in the queue, and some may while one model replaces another. While it holds any,
    only what came before those is certain.
    `asks`: in asynchronous mode.
    """
    endpoint = services.hosting.endpoint(services.settings.endpoint_name)
    if endpoint is None or not endpoint.answers or endpoint.has_two_models:
        return None
    if services.queues.waiting(queue_url):
        return services.now() - _KEPT_BY_THE_QUEUE
    return services.now() - (_AWAITED if asks else _IN_FLIGHT)


def overlooked(store: ObjectStore, command: AuditCommand, before: datetime) -> Iterator[Batch]:
    """Yield what to hand to the image queue, some at a time."""
    if command.of == "images":
        images = pairs(store, after=command.after)
        while page := list(islice(images, _PAGE)):
            messages = [look_again(p.image.key) for p in page if _is_overlooked(p, before)]
            yield Batch(messages, AuditCommand("images", page[-1].image.key))
        command = AuditCommand("documents")
        yield Batch([], command)
    lonely = orphans(store, after=command.after)
    while documents := list(islice(lonely, _PAGE)):
        messages = [_removal(store, document) for document in documents if document.modified < before]
        yield Batch(messages, AuditCommand("documents", documents[-1].key))


def _is_overlooked(pair: Pair, before: datetime) -> bool:
    """Tell whether an image that came before the moment has no document, or an older one.

    The same bytes uploaded again are a version of their own, which the document doesn't name: it is looked at again.
    """
    return pair.image.modified < before and pair.lags()


def _removal(store: ObjectStore, document: StoredObject) -> str:
    return look_again(ImageRef.from_detections_key(store.bucket, document.key).key)
