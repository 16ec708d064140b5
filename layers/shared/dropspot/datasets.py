"""A data set as it lies in the bucket: its name and the listing that identifies its content."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dropspot.errors import InvalidInputError

PREFIX = "datasets/"
PLAN_FILE = "training.json"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; `etag` without its quotes, `size` in bytes, `modified` with a time zone."""

    key: str
    etag: str
    size: int
    modified: datetime


_NAME = re.compile(r"[^/\ud800-\udfff]+")  # a lone surrogate, which JSON can spell, is in no S3 key


def is_name(value: object) -> bool:
    """Tell whether the value, whoever said it, may name a data set: a folder directly under `datasets/`."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def dataset_of(key: str) -> str:
    """Return the data set's name in `datasets/<name>/…`; raise InvalidInputError for a key outside such a folder."""
    name, slash, _ = key.removeprefix(PREFIX).partition("/")
    if not key.startswith(PREFIX) or not slash or not name:
        raise InvalidInputError(
            f"{key} is in no data set's folder: upload it as {PREFIX}<name>/{key.rsplit('/', 1)[-1]}"
        )
    return name


def prefix_of(dataset: str) -> str:
    """Return the prefix under which the data set lies."""
    return f"{PREFIX}{dataset}/"


def slug(dataset: str) -> str:
    """Return the name as it may stand in a SageMaker name: lower case, digits and single hyphens, 24 at most."""
    return re.sub(r"[^a-z0-9]+", "-", dataset.lower())[:24].strip("-") or "dataset"


@dataclass(frozen=True, slots=True)
class Listing:
    """What a data set holds, sorted by key; folder markers are no content.

    `references` are the objects outside its folder that its manifests refer to, by bucket, sorted by key.
    """

    dataset: str
    objects: tuple[StoredObject, ...]
    references: Mapping[str, tuple[StoredObject, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: str, objects: Iterable[StoredObject]) -> "Listing":
        """Return the listing of the objects found under the data set's prefix."""
        return cls(dataset, tuple(sorted((o for o in objects if not o.key.endswith("/")), key=lambda o: o.key)))

    def _relative(self, key: str) -> str:
        return key.removeprefix(prefix_of(self.dataset))

    @property
    def content(self) -> tuple[StoredObject, ...]:
        """Everything but the plan."""
        return tuple(o for o in self.objects if self._relative(o.key) != PLAN_FILE)

    @property
    def plan(self) -> StoredObject | None:
        """The plan beside the data, where there is one."""
        return next((o for o in self.objects if self._relative(o.key) == PLAN_FILE), None)

    @property
    def newest(self) -> datetime | None:
        """When the latest object of the folder was written; None for an empty listing."""
        return max((o.modified for o in self.objects), default=None)

    @property
    def document(self) -> list[dict[str, object]]:
        """The content as it is kept in the run and digested.

        An object of the folder has a `key` relative to the data set, a reference has its `uri`.
        """
        own = [{"key": self._relative(o.key), "etag": o.etag, "size": o.size} for o in self.content]
        return own + [
            {"uri": f"s3://{bucket}/{o.key}", "etag": o.etag, "size": o.size}
            for bucket, objects in sorted(self.references.items())
            for o in objects
        ]


def of_the_folder(document: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return a kept listing without its references: what lay in the data set's own folder."""
    return [entry for entry in document if "key" in entry]
