"""The run's JSON documents: S3 is the record, readable by a human."""

import json
from datetime import datetime
from typing import Any

from dropspot.errors import NotFoundError
from dropspot.ports import ObjectStore


def timestamp(moment: datetime) -> str:
    """Return a moment as documents state it: ISO 8601, UTC, seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(document: Any) -> bytes:
    """Return the document's bytes: indented, keys in the order given."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def read(store: ObjectStore, key: str) -> Any:
    """Return the document; raise NotFoundError."""
    return json.loads(store.read(key).body)


def read_or_none(store: ObjectStore, key: str) -> Any | None:
    """Return the document, None where there is none."""
    try:
        return read(store, key)
    except NotFoundError:
        return None


def read_with_etag(store: ObjectStore, key: str) -> tuple[Any | None, str | None]:
    """Return the document and its ETag for a conditional write; both None where there is none."""
    try:
        stored = store.read(key)
    except NotFoundError:
        return None, None
    return json.loads(stored.body), stored.etag


def write(store: ObjectStore, key: str, document: Any) -> None:
    """Write the document, whatever was there."""
    store.write(key, encode(document))


def write_once(store: ObjectStore, key: str, document: Any) -> bool:
    """Write the document where there is none; return whether it was written."""
    return store.write(key, encode(document), if_absent=True)


def replace(store: ObjectStore, key: str, document: Any, etag: str | None) -> bool:
    """Write the document where the key still holds what was read (`etag`; None: nothing); return whether it did."""
    return store.write(key, encode(document), if_match=etag, if_absent=etag is None)
