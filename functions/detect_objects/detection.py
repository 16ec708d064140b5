"""The protocol that keeps one document for every image, of its newest version, whatever happens when."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from dropspot import documents, images
from dropspot.errors import NotFoundError, TransientError
from dropspot.images import ImageRef, Picture
from dropspot.ports import ObjectStore
from image_event import ImageEvent
from looking import OBJECT_LIMIT, too_large

ATTEMPTS = 5


class Outcome(Enum):
    """What became of the image's document; the values are metrics."""

    DETECTED = "ImagesDetected"
    REJECTED = "ImagesRejected"
    REMOVED = "ImagesRemoved"
    UNCHANGED = "ImagesUnchanged"


@dataclass(frozen=True, slots=True)
class Detection:
    """An image's way to its document.

    `look` returns the document of a picture with these bytes, `champion` the id of the run in service.
    """

    store: ObjectStore
    look: Callable[[Picture, bytes], dict[str, Any]]
    champion: Callable[[], str | None]
    now: Callable[[], datetime]

    def bring_up_to_date(self, image: ImageRef, event: ImageEvent) -> Outcome:
        """Make the document describe the image as it is now, not as the event has it; return what was done.

        Raises TransientError where the image kept changing, beside all that `look` raises.
        """
        for _ in range(ATTEMPTS):
            outcome = self._attempt(image, event)
            if outcome is not None:
                return outcome
        raise TransientError(f"describe s3://{image.bucket}/{image.key}: it changed {ATTEMPTS} times meanwhile")

    def _attempt(self, image: ImageRef, event: ImageEvent) -> Outcome | None:
        """Try once; return None where the image or its document changed meanwhile."""
        # The document is read before the image: whoever writes it in between makes the write below fail.
        present, document_etag = self._present(image)
        etag = self.store.head(image.key)
        if etag is None:
            self.store.delete(image.detections_key)
            return Outcome.REMOVED if self.store.head(image.key) is None else None
        if present is not None and self._describes(present, etag, event):
            return Outcome.UNCHANGED
        looked = self._looked_at(image, etag, event)
        if looked is None:
            return None
        document, etag = looked
        # An equal document is left alone, so that a repeated event doesn't even make a new version of it.
        if not _same(present, document) and not documents.replace(
            self.store, image.detections_key, document, document_etag
        ):
            return None
        if self.store.head(image.key) != etag:
            return None
        return Outcome.DETECTED if document["status"] == "detected" else Outcome.REJECTED

    def _present(self, image: ImageRef) -> tuple[dict[str, Any] | None, str | None]:
        """Return the image's document and its ETag; what is no such document has the ETag alone, to be replaced."""
        try:
            stored = self.store.read(image.detections_key)
        except NotFoundError:
            return None, None
        return _understood(stored.body), stored.etag

    def _looked_at(self, image: ImageRef, etag: str, event: ImageEvent) -> tuple[dict[str, Any], str] | None:
        """Return the image's new document and the ETag of the bytes it describes; None where the image vanished."""
        size = self._size(image, etag, event)
        if size is None:
            return None
        if size > OBJECT_LIMIT:
            is_event_s = event.etag == etag
            picture = Picture(image, etag, event.version_id if is_event_s else None, "application/octet-stream", size)
            return too_large(picture, self.now()), etag
        try:
            stored = self.store.read(image.key)
        except NotFoundError:
            return None
        sequencer = event.sequencer if event.is_of(stored.etag, stored.version_id) else None
        picture = Picture(image, stored.etag, stored.version_id, stored.content_type, len(stored.body), sequencer)
        return self.look(picture, stored.body), stored.etag

    def _size(self, image: ImageRef, etag: str, event: ImageEvent) -> int | None:
        """Return the object's bytes, which are known before a huge one is read; None where it vanished."""
        if event.etag == etag and event.size is not None:
            return event.size
        first = next(self.store.objects(image.key), None)  # a key sorts before all others that begin with it
        return first.size if first is not None and first.key == image.key else None

    def _describes(self, document: dict[str, Any], etag: str, event: ImageEvent) -> bool:
        """Tell whether the document is the champion's word on this image: then nobody is asked, and nobody paid."""
        described = document["image"]
        if event.anew:
            return False
        if described["etag"] != etag or document["model"] is None:
            return False
        # The same bytes uploaded again are a version of their own, which the document shall name.
        if event.is_creation and event.etag == etag and event.version_id != described["version_id"]:
            return False
        return bool(document["model"]["run_id"] == self.champion())


def _understood(body: bytes) -> dict[str, Any] | None:
    """Return the document, None where the bytes are none of ours."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    match document:
        case {
            "schema": images.SCHEMA,
            "image": {"etag": str(), "version_id": str() | None},
            "model": {"run_id": str()} | None,
        }:
            return dict(document)
    return None


def _same(present: dict[str, Any] | None, document: dict[str, Any]) -> bool:
    """Tell whether two documents say the same; when, and by which event, is no part of it."""
    return present is not None and _content(present) == _content(document)


def _content(document: dict[str, Any]) -> dict[str, Any]:
    image = {name: value for name, value in document["image"].items() if name != "sequencer"}
    return {name: value for name, value in document.items() if name != "created_at"} | {"image": image}
