"""A part's images: listed, held against their documents, divided into those for its jobs and those for the queue."""

import json
from dataclasses import dataclass, field
from itertools import accumulate

from dropspot import documents
from dropspot.backfills import BackfillRequest, Part
from dropspot.comparison import Pair, pairs
from dropspot.datasets import StoredObject
from dropspot.documents import timestamp
from dropspot.ports import ObjectStore

MOST_IMAGES = 100_000  # of a part: what a listing in memory and a job's start are worth
MOST_BYTES = 64 * 10**9  # of a part, which the sniffing job holds on its volume
MOST_PAIRS = 1_000_000  # that a part passes over, so that the function has the time
_LONGEST_NAME = 255 - len(".out")  # bytes of a file's name, with what a Transform job adds to it


@dataclass(slots=True)
class Listed:
    """What a part takes on behind the key `after`; behind `last` the next one begins, None at the end of the prefix."""

    after: str
    images: list[StoredObject] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # keys that can't be a file's path
    size: int = 0
    last: str | None = None


def list_part(store: ObjectStore, request: BackfillRequest, after: str) -> Listed:
    """Return the next part's images: those behind the key `after` that need a look."""
    found, taken, key = Listed(after), _Paths(), after
    for number, pair in enumerate(pairs(store, request.prefix, after)):
        if number == MOST_PAIRS or len(found.images) + len(found.others) == MOST_IMAGES or found.size > MOST_BYTES:
            found.last = key
            break
        key = pair.image.key
        if pair.lags(request.before):
            _take(found, pair, taken)
    return found


def _take(found: Listed, pair: Pair, taken: "_Paths") -> None:
    if taken.add(pair.image.key):
        found.images.append(pair.image)
        found.size += pair.image.size
    else:
        found.others.append(pair.image.key)


class _Paths:
    """Keys that stand for files of one folder together, and still do with `.out` behind each."""

    def __init__(self) -> None:
        self._files: set[str] = set()

    def add(self, key: str) -> bool:
        """Take the key, which comes after all that were taken; return False where it can't be such a file."""
        *folders, _ = accumulate(key.split("/"), lambda path, name: f"{path}/{name}")
        if not all(map(_is_sound, key.split("/"))) or any(
            folder in self._files or folder.removesuffix(".out") in self._files for folder in folders
        ):
            return False
        self._files.add(key)
        return True


def _is_sound(name: str) -> bool:
    """Tell whether a name is one on every file system, and one that nobody's download stumbles over."""
    return 0 < len(name.encode()) <= _LONGEST_NAME and name not in {".", ".."} and name.isprintable()


def write_part(store: ObjectStore, part: Part, found: Listed) -> None:
    """Write the part's documents, `part.json` last: with it, the part has begun."""
    store.write(part.key("listing.jsonl"), b"".join(map(_line, found.images)))
    documents.write(store, part.key("manifest.json"), manifest(store.bucket, [image.key for image in found.images]))
    plan = {
        "after": found.after,
        "last": found.last,
        "images": len(found.images),
        "bytes": found.size,
        "handed_over": len(found.others),
    }
    documents.write(store, part.key("part.json"), plan)


def manifest(bucket: str, keys: list[str]) -> list[object]:
    """Return the list as SageMaker's ManifestFile wants it: a prefix, and what follows it in each object's URI."""
    return [{"prefix": f"s3://{bucket}/"}, *keys]


def _line(image: StoredObject) -> bytes:
    entry = {"key": image.key, "etag": image.etag, "size": image.size, "modified": timestamp(image.modified)}
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"
