"""Detections as the API shows them."""

from itertools import islice
from typing import Any

from dropspot import documents
from dropspot.errors import InvalidInputError
from dropspot.images import DETECTIONS_PREFIX, PREFIX, ImageRef
from dropspot.services import Services
from dropspot.settings import Settings

LONGEST_LIST = 1000


def detections_of(services: Services[Settings], key: str) -> dict[str, Any]:
    """Return the image's document; raise InvalidInputError for a key that is no image's, NotFoundError without one."""
    image = ImageRef.from_key(services.store.bucket, key)
    document: dict[str, Any] = documents.read(services.store, image.detections_key)
    return document


def described_images(services: Services[Settings], prefix: str) -> dict[str, Any]:
    """Return the keys of the images below the prefix that have a document, the first thousand of them."""
    if not prefix.startswith(PREFIX):
        raise InvalidInputError(f"{prefix} is no prefix of images: they lie under {PREFIX}")
    store = services.store
    found = list(islice(store.objects(DETECTIONS_PREFIX + prefix.removeprefix(PREFIX)), LONGEST_LIST + 1))
    keys = [ImageRef.from_detections_key(store.bucket, document.key).key for document in found[:LONGEST_LIST]]
    return {"keys": keys, "truncated": len(found) > LONGEST_LIST}
