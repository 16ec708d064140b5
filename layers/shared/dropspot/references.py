"""References: the pictures outside a data set's folder that its manifests refer to.

The container that prepares runs without network, so they are looked up here and become inputs of its job. Only
manifests that lie loose in the folder are read; one inside an archive may refer to pictures of its own data set alone.
What can't be followed is left to the container, which finds it missing and says so.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from dropspot.datasets import Listing, StoredObject, prefix_of
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.plan_fields import shortened
from dropspot.ports import ObjectStore
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import DataSettings

MAX_BYTES = 512 * 1024 * 1024  # of all manifests of a data set
MAX_LINE = 8 * 1024 * 1024  # of this and of the next, the container takes the same for a manifest
LINES_LOOKED_AT = 100
MAX_REFERENCES = 1_000_000
MAX_FILES = 1_000
MAX_JSON_FILES = 100  # more of them are the annotations of single pictures
MAX_PAGES = 2_000  # of listing, a bucket

_LAYOUTS = ("auto", "manifest")  # a plan's layouts with which a manifest is read
_ENDINGS = (".manifest", ".jsonl", ".json")
_OUTPUTS = ("runs/", "open-runs/", "detections/", "endpoint/")  # in the data bucket: what the pipeline writes
_URI = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)
_TOO_LONG = b"a line of more than MAX_LINE bytes"  # no JSON, so never taken for a reference


def with_references(services: Services[DataSettings], listing: Listing, layout: str) -> Listing:
    """Return the listing with the objects that its manifests refer to; `layout` is the plan's.

    InvalidInputError, one sentence: not one reference can be followed, a bucket can't be listed, or a limit is passed.
    """
    if layout not in _LAYOUTS:
        return listing
    store = services.store
    sought = _Sought(store.bucket, listing.dataset, frozenset({store.bucket, *services.settings.extra_data_buckets}))
    for manifest, values in _manifests(store, listing):
        sought.add(manifest, values)
    references = {bucket: _found(store.sibling(bucket), keys) for bucket, keys in sought.keys.items()}
    references = {bucket: objects for bucket, objects in references.items() if objects}
    if not references and not sought.within and (reason := sought.missing or sought.refused):
        raise InvalidInputError(f"no picture can be reached: {reason}")
    return replace(listing, references=references)


@dataclass(slots=True)
class _Sought:
    """What manifests refer to: how often to the data set's own folder, and which keys of which buckets besides."""

    bucket: str
    dataset: str
    allowed: frozenset[str]
    within: int = 0
    keys: dict[str, set[str]] = field(default_factory=dict)
    missing: str = ""  # what to say if nothing that is sought exists
    refused: str = ""  # why the first reference that isn't followed isn't, empty where all are

    def add(self, manifest: str, values: Iterable[str]) -> None:
        for value in values:
            self._add(manifest, value)
            if sum(map(len, self.keys.values())) > MAX_REFERENCES:
                raise InvalidInputError(
                    f"{manifest} brings the pictures outside the data set's folder above {MAX_REFERENCES:,}, the limit"
                )

    def _add(self, manifest: str, value: str) -> None:
        match = _URI.fullmatch(value)
        bucket, key = match.groups() if match else ("", value)
        if (not match and "://" not in value) or (bucket == self.bucket and key.startswith(prefix_of(self.dataset))):
            self.within += 1
        elif reason := self._refusal(bucket, key):
            self.refused = self.refused or f"{manifest} refers to {reason}"
        else:
            self.keys.setdefault(bucket, set()).add(key)
            self.missing = self.missing or f"{manifest} refers to {_shown(value)}, which doesn't exist"

    def _refusal(self, bucket: str, key: str) -> str:
        if not bucket:
            return f"{_shown(key)}, which is no object of S3"
        if bucket not in self.allowed:
            return f"the bucket {_shown(bucket)}, which the parameter ExtraDataBuckets doesn't name"
        if bucket == self.bucket and key.startswith(_OUTPUTS):
            return f"s3://{bucket}/{key.partition('/')[0]}/, which is for what the pipeline writes"
        return "" if _can_be_a_file(key) else f"{_shown(f's3://{bucket}/{key}')}, which can't be a file's path"


def _shown(text: str) -> str:
    """Return what a manifest says as a sentence may carry it: a lone surrogate, which JSON can spell, isn't UTF-8."""
    return shortened(text).encode(errors="replace").decode()


def _can_be_a_file(key: str) -> bool:
    """Tell whether the key is one of S3 and stays the same as a path in the container's folder."""
    try:
        names = [name.encode() for name in key.split("/")]
    except UnicodeEncodeError:
        return False
    sound = all(0 < len(name) <= 255 and name not in {b".", b".."} and b"\0" not in name for name in names)
    return sound and len(key.encode()) <= 1024


def _manifests(store: ObjectStore, listing: Listing) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield the name and the `source-ref`s of each loose file that is a manifest by its ending and its first lines."""
    files = [o for o in listing.content if o.key.lower().endswith(_ENDINGS)]
    if sum(o.key.lower().endswith(".json") for o in files) > MAX_JSON_FILES:
        files = [o for o in files if not o.key.lower().endswith(".json")]
    if len(files) > MAX_FILES:
        raise InvalidInputError(f"{len(files):,} manifests lie in the data set's folder: the limit is {MAX_FILES:,}")
    total = 0
    for file in files:
        name, lines = file.key.removeprefix(prefix_of(listing.dataset)), _lines(store.pieces(file.key))
        first = _first_source_ref(lines)
        if first is None:
            continue
        total += file.size
        if total > MAX_BYTES:
            raise InvalidInputError(f"{name} brings the manifests above {MAX_BYTES // 1024**2} MiB, the limit")
        yield name, (value for value in chain([first], map(_source_ref, lines)) if value is not None)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that hold something, in memory that a line of any length doesn't fill."""
    rest, skipping = b"", False
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if lines and skipping:
            del lines[0]
            skipping = False
        yield from (line for line in lines if line.strip())
        if len(rest) > MAX_LINE and not skipping:
            yield _TOO_LONG
            skipping = True
        if skipping:
            rest = b""
    if rest.strip():
        yield rest


def _first_source_ref(lines: Iterator[bytes]) -> str | None:
    """Take lines up to the first manifest's line, as the container does to recognise one; None where there is none."""
    for line in islice(lines, LINES_LOOKED_AT):
        if line is _TOO_LONG:
            return None  # the one line of a large document
        if (value := _source_ref(line)) is not None:
            return value
    return None


def _source_ref(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None  # the container puts the line into quarantine
    value = entry.get("source-ref") if isinstance(entry, dict) else None
    return value if isinstance(value, str) else None


def _found(store: ObjectStore, wanted: set[str]) -> tuple[StoredObject, ...]:
    """Return those of the wanted objects that exist, and that can lie in one folder together."""
    try:
        found = list(_listed(store, wanted))
    except (NotFoundError, InvalidInputError) as error:
        raise InvalidInputError(f"the pictures that a manifest refers to can't be looked up: {error}") from error
    folders: set[str] = set()
    for stored in found:
        folder = stored.key.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return tuple(stored for stored in found if stored.key not in folders)


def _listed(store: ObjectStore, wanted: set[str]) -> Iterator[StoredObject]:
    """Yield the wanted objects that exist, by listing the bucket where they lie.

    A page of a listing says of a thousand objects what a request for each would say, and stretches without a wanted key
    are leapt over, so there are never more requests than wanted objects plus pages that hold some.
    """
    keys = sorted(wanted)  # by code point, which is S3's order of bytes in UTF-8
    after = keys[0][:-1]  # comes before the key, with next to nothing in between
    for _ in range(MAX_PAGES):
        page = store.following(after)
        yield from (stored for stored in page if stored.key in wanted)
        position = bisect_right(keys, page[-1].key) if page else len(keys)
        if position == len(keys):
            return
        after = max(page[-1].key, keys[position][:-1])
    raise InvalidInputError(f"{len(keys):,} objects lie too far apart in s3://{store.bucket}: put them into one folder")


def list_key(run: Run, bucket: str) -> str:
    """Return where the run keeps the list of the objects that it takes from the bucket."""
    return run.key("references", f"{bucket}.json")


def list_document(bucket: str, objects: Iterable[StoredObject]) -> list[object]:
    """Return the list as SageMaker's ManifestFile wants it: a prefix, and what follows it in each object's URI."""
    return [{"prefix": f"s3://{bucket}/"}, *(stored.key for stored in objects)]
