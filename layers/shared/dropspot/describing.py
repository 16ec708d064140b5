"""The protocol that keeps one document for every image, of its newest version, whatever happens when.

A new image takes two requests of S3, one to read it and one to write its document, beside the one that looks for all
documents of a batch; alone it takes three. One that is described already takes two.

Why the document ends up right. It is looked for before the image is read, and written only where it is still as it was
found: of two workers, the one that read the older image can't write after the other. Every change has an event of its
own, handled after it: the last one's finds the last image. One order remains: an image is read, deleted, its missing
document rightly left alone, and then the reader writes. So a deletion is looked at again when no worker can be left
that saw the image before it (detect_objects sends itself that message).
"""

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from dropspot import documents, images
from dropspot.errors import NotFoundError, TransientError
from dropspot.image_events import ImageEvent
from dropspot.images import ImageRef, Picture, judged_by
from dropspot.looking import OBJECT_LIMIT, too_large
from dropspot.ports import ObjectStore, StoredBytes

ATTEMPTS = 5
_WORTH_A_LISTING = 3  # documents; fewer are looked for one by one
_LISTED_FOR_EACH = 4  # so many keys of other documents may lie between two of a batch


class Outcome(Enum):
    """What became of the image's document; the values are metrics."""

    DETECTED = "ImagesDetected"
    REJECTED = "ImagesRejected"
    REMOVED = "ImagesRemoved"
    UNCHANGED = "ImagesUnchanged"
    IGNORED = "ObjectsIgnored"  # no image by rule
    REFUSED = "ImagesRefused"  # its key leaves no room for a document's
    ASKED = "ImagesAsked"  # the model's answer is awaited


@dataclass(frozen=True, slots=True)
class Described:
    """What was done about the object under the key, and its document as it stands now: None where there is none."""

    outcome: Outcome
    key: str
    document: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Describer:
    """An image's way to its document.

    `look` returns the document of a picture with these bytes, None where the answer comes later; `champion` the id of
    the run in service. `absent` are the keys of documents that weren't there a moment ago. `look_anew`, where there is
    one, takes the place of `look` for an event that asks anew.
    """

    store: ObjectStore
    look: Callable[[Picture, bytes], dict[str, Any] | None]
    champion: Callable[[], str | None]
    now: Callable[[], datetime]
    absent: Collection[str] = ()
    look_anew: Callable[[Picture, bytes], dict[str, Any] | None] | None = None

    def bring_up_to_date(self, image: ImageRef, event: ImageEvent) -> Described:
        """Make the document describe the image as it is now, not as the event has it.

        Raises TransientError where the image kept changing, beside all that `look` raises.
        """
        for attempt in range(ATTEMPTS):
            described = self._attempt(image, event, is_absent=not attempt and image.detections_key in self.absent)
            if described is None:
                continue
            if attempt and described.outcome is Outcome.UNCHANGED and described.document:
                # It came to be meanwhile, perhaps by our own write whose answer got lost: to be told of, better twice.
                return Described(_outcome(described.document), image.key, described.document)
            return described
        raise TransientError(f"describe s3://{image.bucket}/{image.key}: it changed {ATTEMPTS} times meanwhile")

    def _attempt(self, image: ImageRef, event: ImageEvent, *, is_absent: bool) -> Described | None:
        """Try once; return None where the document changed meanwhile, or the image came back."""
        # The document is looked for before the image: whoever writes it in between makes the write below fail.
        present, document_etag = (None, None) if is_absent else self._present(image)
        if present is not None and event.may_be_of(present["image"]["etag"]):
            # Nobody needs the bytes of an image that is described already.
            version = self.store.version(image.key)
            if version is not None and self._describes(present, version.etag, version.version_id, event):
                return Described(Outcome.UNCHANGED, image.key, present)
        try:
            stored = self.store.read(image.key, limit=OBJECT_LIMIT)
        except NotFoundError:
            return self._removed(image, document_etag)
        if present is not None and self._describes(present, stored.etag, stored.version_id, event):
            return Described(Outcome.UNCHANGED, image.key, present)
        return self._described(image, stored, event, present, document_etag)

    def _described(
        self,
        image: ImageRef,
        stored: StoredBytes,
        event: ImageEvent,
        present: dict[str, Any] | None,
        document_etag: str | None,
    ) -> Described | None:
        """Look at the image and put its document in the place of the present one."""
        document = self._looked_at(image, stored, event)
        if document is None:
            return Described(Outcome.ASKED, image.key, None)
        # An equal document is left alone, so that a repeated event doesn't even make a new version of it.
        is_same = present is not None and content_of(present) == content_of(document)
        if not is_same and not documents.replace(self.store, image.detections_key, document, document_etag):
            return None
        return Described(Outcome.UNCHANGED if is_same else _outcome(document), image.key, document)

    def _present(self, image: ImageRef) -> tuple[dict[str, Any] | None, str | None]:
        """Return the image's document and its ETag; what is no such document has the ETag alone, to be replaced."""
        try:
            stored = self.store.read(image.detections_key)
        except NotFoundError:
            return None, None
        return understood(stored.body), stored.etag

    def _removed(self, image: ImageRef, document_etag: str | None) -> Described | None:
        """Remove the document of an image that is gone; None where the image came back meanwhile."""
        if document_etag is not None:
            self.store.delete(image.detections_key)
            if self.store.head(image.key) is not None:
                return None
        return Described(Outcome.REMOVED, image.key, None)

    def _looked_at(self, image: ImageRef, stored: StoredBytes, event: ImageEvent) -> dict[str, Any] | None:
        sequencer = event.sequencer if event.is_of(stored.etag, stored.version_id) else None
        picture = Picture(image, stored.etag, stored.version_id, stored.content_type, stored.size, sequencer)
        if stored.size > OBJECT_LIMIT:
            return too_large(picture, self.now())
        look = self.look_anew if event.anew and self.look_anew else self.look
        return look(picture, stored.body)

    def _describes(self, document: dict[str, Any], etag: str, version_id: str | None, event: ImageEvent) -> bool:
        """Tell whether the document is the champion's word on this image: then nobody is asked, and nobody paid.

        The same bytes uploaded again are a version of their own, which the document shall name.
        """
        described, run_id = document["image"], judged_by(document)
        if event.anew or run_id is None or (described["etag"], described["version_id"]) != (etag, version_id):
            return False
        return run_id == self.champion()


def absent_documents(store: ObjectStore, images: Iterable[ImageRef]) -> frozenset[str]:
    """Return keys of documents that these images don't have, as far as one request shows; those left out may be absent.

    A listing in the order of keys tells of all keys up to its last one. Uploads come in that order, mostly. Where there
    can be none just now, every document is looked for by itself.
    """
    keys = sorted({image.detections_key for image in images}, key=str.encode)
    if len(keys) < _WORTH_A_LISTING:
        return frozenset()
    try:
        listed = [found.key for found in store.following(keys[0][:-1], most=_LISTED_FOR_EACH * len(keys))]
    except Exception:  # noqa: BLE001  # whatever hinders it: then each image finds out by itself
        return frozenset()
    known = [key for key in keys if not listed or key.encode() <= listed[-1].encode()]
    return frozenset(known) - frozenset(listed)


def _outcome(document: dict[str, Any]) -> Outcome:
    return Outcome.DETECTED if document["status"] == "detected" else Outcome.REJECTED


def understood(body: bytes) -> dict[str, Any] | None:
    """Return the document, None where the bytes are none of ours."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    match document:
        case {
            "schema": images.SCHEMA,
            "status": str(),
            "image": {"etag": str(), "version_id": str() | None},
            "model": {"run_id": str()} | None,
            "detections": list(),
            "rejection": {"code": str()} | None,
        } if isinstance(judged_by(document), str | None):
            return dict(document)
    return None


def content_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says; when, and by which event, is no part of it."""
    image = {name: value for name, value in document["image"].items() if name != "sequencer"}
    return {name: value for name, value in document.items() if name != "created_at"} | {"image": image}
