"""Detections as the API shows them."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from dropspot import documents
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.images import DETECTIONS_PREFIX, PREFIX, ImageRef
from dropspot.services import Services
from dropspot.settings import Settings

LONGEST_LIST = 1000


def detections_of(services: Services[Settings], key: str) -> dict[str, Any]:
    """Return the image's document.

    InvalidInputError: the key is no image's. NotFoundError: the image has no document, or what lies in its place can't
    be read.
    """
    image = ImageRef.from_key(services.store.bucket, key)
    try:
        document: dict[str, Any] = documents.read(services.store, image.detections_key)
    except ValueError as error:
        raise NotFoundError(f"{key} has no document: {image.detections_key} is not JSON") from error
    return document


def described_images(services: Services[Settings], prefix: str) -> dict[str, Any]:
    """Return the keys of the images below the prefix that have a document, the first thousand of them."""
    if not prefix.startswith(PREFIX):
        raise InvalidInputError(f"{prefix} is no prefix of images: they lie under {PREFIX}")
    keys = list(islice(_described_keys(services, prefix), LONGEST_LIST + 1))
    return {"keys": keys[:LONGEST_LIST], "truncated": len(keys) > LONGEST_LIST}


def _described_keys(services: Services[Settings], prefix: str) -> Iterator[str]:
    """Yield the keys of the images that have a document; what else lies among the documents is passed over."""
    store = services.store
    for found in store.objects(DETECTIONS_PREFIX + prefix.removeprefix(PREFIX)):
        with suppress(InvalidInputError):
            yield ImageRef.from_detections_key(store.bucket, found.key).key
