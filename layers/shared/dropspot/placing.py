"""A document that was made some time ago is put in place, under the same protocol as one that is made at once.

It is written only while the image is the very one that the model looked at, and over nothing but what stood there when
that was seen. Where anything moved, nothing is written: the image queue sees to the image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from dropspot import documents
from dropspot.describing import content_of, understood
from dropspot.documents import timestamp
from dropspot.errors import NotFoundError
from dropspot.images import ImageRef, judged_by
from dropspot.ports import ObjectStore, ObjectVersion


class Placed(Enum):
    """What became of a document that was to be put in place."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"  # an equal one stands there
    KEPT = "kept"  # the present model's word stands there
    LEFT = "left to the image queue"


@dataclass(frozen=True, slots=True)
class Placer:
    """Puts documents in place; `champion` is the run in service, `anew` replaces its documents too."""

    store: ObjectStore
    champion: str | None
    anew: bool
    now: Callable[[], datetime]

    def put(self, document: dict[str, Any], modified: str | None = None) -> Placed:
        """Put one document in place, and complete it.

        The image is known by its version, or, where the document names none, by its ETag and when it was written.
        """
        image = ImageRef.from_key(self.store.bucket, document["image"]["key"])
        # The document is read before the image: whoever writes it in between makes the write below fail.
        present, present_etag = self._present(image)
        version = self.store.version(image.key)
        if version is None or not _is_of(document["image"], version, modified):
            return Placed.LEFT
        document["image"]["version_id"] = version.version_id
        document["created_at"] = timestamp(self.now())
        if present is not None and content_of(present) == content_of(document):
            return Placed.UNCHANGED
        if present is not None and self._stands(present, document):
            return Placed.KEPT
        if not documents.replace(self.store, image.detections_key, document, present_etag):
            return Placed.LEFT
        # A deletion meanwhile found no document to remove, and its event may be done with: nobody else would notice.
        return Placed.WRITTEN if self.store.version(image.key) == version else Placed.LEFT

    def _present(self, image: ImageRef) -> tuple[dict[str, Any] | None, str | None]:
        try:
            stored = self.store.read(image.detections_key)
        except NotFoundError:
            return None, None
        return understood(stored.body), stored.etag

    def _stands(self, present: dict[str, Any], document: dict[str, Any]) -> bool:
        """Tell whether the present document is the champion's answer or refusal of this very image, and shall stay."""
        if judged_by(present) is None or judged_by(present) != self.champion:
            return False
        if any(present["image"][name] != document["image"][name] for name in ("etag", "version_id")):
            return False
        return not (self.anew and judged_by(document) == self.champion)


def _is_of(described: dict[str, Any], version: ObjectVersion, modified: str | None) -> bool:
    if described["etag"] != version.etag:
        return False
    return described["version_id"] in {None, version.version_id} and modified in {None, timestamp(version.modified)}
