"""Events about images: S3's, that one was created or deleted, and our own, that one was looked at."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dropspot.errors import InvalidInputError
from dropspot.images import ImageRef

IMAGE_DETECTED = "Image Detected"
IMAGE_REJECTED = "Image Rejected"
REDRIVEN = "REDRIVEN"  # the attribute of a message that was brought back from the dead-letter queue


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """What S3's event says of its object, which need not be what lies in the bucket by now."""

    key: str
    is_creation: bool
    etag: str | None
    version_id: str | None
    sequencer: str | None
    is_deletion: bool = False
    anew: bool = False  # asked for by look_again: also where the document says everything already

    @classmethod
    def from_message(cls, body: str) -> "ImageEvent":
        """Return the event of an SQS message that EventBridge delivered. S3 states keys verbatim there: no decoding.

        InvalidInputError: the message is something else.
        """
        try:
            event = json.loads(body)
            found = event["detail"]["object"]
            str(found["key"]).encode()  # a lone surrogate, which JSON can spell, is in no key
            return cls(
                key=str(found["key"]),
                is_creation=event["detail-type"] == "Object Created",
                etag=found.get("etag"),
                version_id=found.get("version-id"),
                sequencer=found.get("sequencer"),
                is_deletion=event["detail-type"] == "Object Deleted",
                anew=event["detail"].get("anew") is True,
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"the message is no event of an image: {error!r}") from error

    @classmethod
    def of_all(cls, events: Sequence["ImageEvent"]) -> "ImageEvent":
        """Return one event for several of one object: the latest by S3's order, with all that any of them asks for."""
        latest = max(events, key=lambda event: event.sequencer or "")
        deletes, anew = (any(getattr(event, name) for event in events) for name in ("is_deletion", "anew"))
        return replace(latest, is_deletion=deletes, anew=anew)

    def is_of(self, etag: str, version_id: str | None) -> bool:
        """Tell whether the event announced this very version."""
        return self.is_creation and self.etag == etag and self.version_id in {None, version_id}

    def may_be_of(self, etag: str) -> bool:
        """Tell whether the object with this ETag may be the newest, for all that the event says."""
        return not self.is_creation or self.etag in {None, etag}


def announcement(document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the event that tells of an image's new document, as detail type and detail.

    `counts` says how many objects of each label were detected; a rejection has its `code` and no run.
    """
    image, model, rejection = document["image"], document["model"], document["rejection"]
    detail = {
        "bucket": image["bucket"],
        "key": image["key"],
        "etag": image["etag"],
        "version_id": image["version_id"],
        "document_key": ImageRef.from_key(image["bucket"], image["key"]).detections_key,
        "run_id": model and model["run_id"],
        "counts": dict(Counter(found["label"] for found in document["detections"])),
        "code": rejection and rejection["code"],
    }
    return (IMAGE_REJECTED if rejection else IMAGE_DETECTED), detail
