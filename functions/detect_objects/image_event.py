"""The event that wakes detect_objects: an object under `images/` was created or deleted."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """What the event says of its object, which need not be what lies in the bucket by now."""

    key: str
    is_creation: bool
    etag: str | None
    version_id: str | None
    size: int | None
    sequencer: str | None
    anew: bool = False  # asked for by look_again: also where the document says everything already

    @classmethod
    def from_message(cls, body: str) -> "ImageEvent":
        """Return the event of an SQS message that EventBridge delivered. S3 states keys verbatim there: no decoding."""
        event = json.loads(body)
        found = event["detail"]["object"]
        return cls(
            key=found["key"],
            is_creation=event["detail-type"] == "Object Created",
            etag=found.get("etag"),
            version_id=found.get("version-id"),
            size=found.get("size"),
            sequencer=found.get("sequencer"),
            anew=event["detail"].get("anew") is True,
        )

    def is_of(self, etag: str, version_id: str | None) -> bool:
        """Tell whether the event announced this very version."""
        return self.is_creation and self.etag == etag and self.version_id in {None, version_id}
