"""Images and their documents side by side, from two listings: no object is read, and no listing is held as a whole.

A document's key is its image's with a suffix, so both lie in nearly, but not quite, the same order: `a-b` comes before
`a.b` and `a-b.json` before `a.json`. Hence a page of one listing is held against the stretch of the other in which its
counterparts lie.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dropspot.datasets import StoredObject
from dropspot.errors import InvalidInputError
from dropspot.images import DETECTIONS_PREFIX, PREFIX, ImageRef, is_image_key
from dropspot.ports import ObjectStore

_PAGE = 1000  # S3 lists so many at once


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and the document under its detections key, None where there is none."""

    image: StoredObject
    document: StoredObject | None

    def lags(self, before: datetime | None = None) -> bool:
        """Tell whether the image has no document, or one written before the image was or before the moment given.

        S3 dates both to the second, so a document of the very second counts as the newer one.
        """
        if self.document is None:
            return True
        return self.document.modified < max(filter(None, (self.image.modified, before)))


def pairs(store: ObjectStore, prefix: str = PREFIX, after: str = "") -> Iterator[Pair]:
    """Yield every image below the prefix, in the order of keys, with its document; only those after the key `after`.

    What is no image by rule, and what has too long a key to have a document, is left out.
    """
    for page in _pages(store.objects(prefix, after)):
        found = {_detections_key(store, image.key): image for image in page}
        found.pop("", None)
        documents = {document.key: document for document in _stretch(store, DETECTIONS_PREFIX, found.keys())}
        yield from (Pair(image, documents.get(key)) for key, image in found.items())


def orphans(store: ObjectStore, prefix: str = PREFIX, after: str = "") -> Iterator[StoredObject]:
    """Yield every document whose image, below the prefix, isn't there; only those after the document's key `after`."""
    for page in _pages(store.objects(DETECTIONS_PREFIX + prefix.removeprefix(PREFIX), after)):
        found = {_image_key(store, document.key): document for document in page}
        found.pop("", None)
        images = {image.key for image in _stretch(store, PREFIX, found.keys())}
        yield from (document for key, document in found.items() if key not in images)


def _pages(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while page := list(islice(objects, _PAGE)):
        yield page


def _stretch(store: ObjectStore, prefix: str, wanted: Iterable[str]) -> Iterator[StoredObject]:
    """Yield those of the wanted objects that exist, by listing from the first of them to the last."""
    keys = set(wanted)
    if not keys:
        return
    first, last = min(keys), max(keys)  # by code point, which is S3's order of bytes in UTF-8
    for found in store.objects(prefix, after=first[:-1]):
        if found.key > last:
            return
        if found.key in keys:
            yield found


def _or_empty(convert: Callable[[], str]) -> str:
    try:
        return convert()
    except InvalidInputError:
        return ""


def _detections_key(store: ObjectStore, key: str) -> str:
    if not is_image_key(key):
        return ""
    return _or_empty(lambda: ImageRef.from_key(store.bucket, key).detections_key)


def _image_key(store: ObjectStore, key: str) -> str:
    return _or_empty(lambda: ImageRef.from_detections_key(store.bucket, key).key)
