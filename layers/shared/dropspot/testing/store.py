"""A bucket in memory."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from dropspot.datasets import StoredObject
from dropspot.errors import NotFoundError
from dropspot.ports import ObjectVersion, StoredBytes
from dropspot.testing.clock import Clock

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    stored: StoredBytes
    modified: datetime


class MemoryStore:
    """A bucket in memory. ETags are MD5 sums, as S3's are for plain uploads: equal bytes have equal ETags."""

    def __init__(self, bucket: str = "bucket", clock: Clock | None = None, *, versioned: bool = True) -> None:
        self.bucket = bucket
        self.clock = clock or Clock()
        self.open_uploads: set[str] = set()  # keys whose multipart upload has begun and not ended
        self._versioned = versioned
        self._objects: dict[str, _Kept] = {}
        self._siblings: dict[str, MemoryStore] = {}
        self.exists = True

    def sibling(self, bucket: str) -> "MemoryStore":
        """Return another bucket, which doesn't exist until it is created."""
        if bucket == self.bucket:
            return self
        if bucket not in self._siblings:
            self._siblings[bucket] = MemoryStore(bucket, self.clock, versioned=self._versioned)
            self._siblings[bucket].exists = False
        return self._siblings[bucket]

    def create(self, bucket: str) -> "MemoryStore":
        """Create another bucket and return it."""
        created = self.sibling(bucket)
        created.exists = True
        return created

    def put(self, key: str, body: bytes, content_type: str = "binary/octet-stream") -> str:
        """Upload an object as a user does; return its ETag."""
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        version = uuid.uuid4().hex if self._versioned else None
        self._objects[key] = _Kept(StoredBytes(body, etag, version, content_type, len(body)), self.clock.now())
        return etag

    def put_json(self, key: str, document: object) -> str:
        """Put a document there as an earlier step would have; return its ETag."""
        return self.put(key, json.dumps(document).encode(), "application/json")

    def json(self, key: str) -> Any:
        """Return the document under the key; raise NotFoundError."""
        return json.loads(self.read(key).body)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys below the prefix, sorted."""
        return [found.key for found in self.objects(prefix)]

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        for key in sorted(self._objects, key=str.encode):  # S3 lists in the order of the keys' UTF-8 bytes
            if key.startswith(prefix) and key > after:
                kept = self._objects[key]
                yield StoredObject(key, kept.stored.etag, len(kept.stored.body), kept.modified)

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        if not self.exists:
            raise NotFoundError(f"list s3://{self.bucket}: NoSuchBucket")
        after = (found for found in self.objects("") if found.key.encode() > key.encode())
        return list(islice(after, most))

    def children(self, prefix: str) -> list[str]:
        rests = [found.key.removeprefix(prefix) for found in self.objects(prefix)]
        folders = [f"{rest.partition('/')[0]}/" for rest in rests if "/" in rest]
        return [*dict.fromkeys(folders)] + [rest for rest in rests if rest and "/" not in rest]

    def has_open_upload(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.open_uploads)

    def head(self, key: str) -> str | None:
        return self._objects[key].stored.etag if key in self._objects else None

    def version(self, key: str) -> ObjectVersion | None:
        if key not in self._objects:
            return None
        kept = self._objects[key]
        return ObjectVersion(kept.stored.etag, kept.stored.version_id, kept.modified)

    def read(self, key: str, *, limit: int | None = None) -> StoredBytes:
        if key not in self._objects:
            raise NotFoundError(f"read s3://{self.bucket}/{key}: NoSuchKey")
        stored = self._objects[key].stored
        return stored if limit is None or stored.size <= limit else replace(stored, body=b"")

    def pieces(self, key: str) -> Iterator[bytes]:
        body = self.read(key).body
        yield from (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/json",
    ) -> bool:
        present = self.head(key)
        # The adapter sends one condition and If-Match is the one it prefers.
        if (present != if_match) if if_match is not None else (if_absent and present is not None):
            return False
        self.put(key, body, content_type)
        return True

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)
