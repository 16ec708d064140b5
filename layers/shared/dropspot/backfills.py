"""A backfill: existing images looked at in bulk, part by part. Every name and key is computed from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dropspot.datasets import slug
from dropspot.documents import timestamp
from dropspot.errors import InvalidInputError
from dropspot.images import PREFIX as IMAGES
from dropspot.runs import digest

PREFIX = "backfills/"
OPEN_PREFIX = "open-backfills/"  # a marker for each backfill that hasn't ended

BACKFILL_REQUESTED = "Backfill Requested"
BACKFILL_DUE = "Backfill Due"
BACKFILL_ENDED = "Backfill Ended"
BACKFILL_FAILED = "Backfill Failed"

SNIFF, LOOK, HARVEST = "sniff", "look", "harvest"  # the three jobs of a part, in their order

_MOST_INSTANCES = 99
_ID = r"[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?-[0-9a-f]{10}"
_NAME = re.compile(
    rf"(?P<app>[a-z][a-z0-9]{{1,15}})-(?P<id>{_ID})(?:-(?P<part>[0-9]{{5}})-(?P<step>{SNIFF}|{LOOK}|{HARVEST}))?-backfill"
)


@dataclass(frozen=True, slots=True)
class Backfill:
    """One request to look at existing images; its id comes from the request's event: a second delivery is the same."""

    app: str
    backfill_id: str

    @classmethod
    def of(cls, app: str, bucket: str, prefix: str, cause: str) -> "Backfill":
        """Return the backfill that the event with the id `cause` asks for."""
        word = slug(prefix.removeprefix(IMAGES) or "all")[:10].strip("-")
        return cls(app, f"{word}-{digest(bucket, prefix, cause)[:10]}")

    @classmethod
    def from_id(cls, app: str, backfill_id: str) -> "Backfill":
        """Return the backfill with this id; raise InvalidInputError where it is none."""
        if re.fullmatch(_ID, backfill_id) is None:
            raise InvalidInputError(f"{backfill_id!r} is no backfill's id")
        return cls(app, backfill_id)

    @classmethod
    def from_name(cls, app: str, name: str) -> "Backfill":
        """Return the backfill of this name, or to which the job of this name belongs; raise InvalidInputError."""
        match = _NAME.fullmatch(name)
        if match is None or match["app"] != app:
            raise InvalidInputError(f"{name} is no name of a backfill of {app}")
        return cls(app, match["id"])

    @property
    def name(self) -> str:
        """Return the name by which events call it."""
        return f"{self.app}-{self.backfill_id}-backfill"

    @property
    def open_marker(self) -> str:
        """Return the key that stands while it hasn't ended."""
        return f"{OPEN_PREFIX}{self.backfill_id}"

    def key(self, *parts: str) -> str:
        """Return the key of something that belongs to it."""
        return f"{PREFIX}{self.backfill_id}/{'/'.join(parts)}"

    def part(self, number: int) -> "Part":
        """Return one of its parts, counted from 0."""
        return Part(self, number)


@dataclass(frozen=True, slots=True)
class Part:
    """So many of a backfill's images as its jobs look at in one go."""

    backfill: Backfill
    number: int

    def job(self, step: str) -> str:
        """Return the name of the part's job for `step`."""
        return f"{self.backfill.app}-{self.backfill.backfill_id}-{self.number:05d}-{step}-backfill"

    def key(self, *parts: str) -> str:
        """Return the key of something that belongs to the part."""
        return self.backfill.key(f"{self.number:05d}", *parts)


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a backfill looks at: images below `prefix` without a document that is newer than they are.

    With `before` the document must have been written after that moment, too. `anew`: also where it is the present
    model's. `instances` run the model.
    """

    prefix: str
    instances: int = 1
    before: datetime | None = None
    anew: bool = False

    @classmethod
    def from_detail(cls, detail: Any, asked_at: datetime, in_service_since: datetime) -> "BackfillRequest":
        """Return what an event's detail asks for; raise InvalidInputError, for anybody may put one on the bus.

        Fields, all optional: `prefix`, with or without `images/`; `instances`; `older`, true to include documents from
        before the present model came into service; `redetect`, true to include every document written before the event,
        or the moment (ISO 8601) before which documents count as old.
        """
        if not isinstance(detail, Mapping):
            raise InvalidInputError("backfill: the request is no object of fields")
        if unknown := sorted(map(str, detail.keys() - {"prefix", "instances", "older", "redetect"})):
            raise InvalidInputError(f"backfill: unknown field {unknown[0][:80]!r}")
        prefix, instances = detail.get("prefix", ""), detail.get("instances", 1)
        older, redetect = detail.get("older", False), detail.get("redetect", False)
        if not isinstance(prefix, str) or len(prefix.encode(errors="replace")) > 1024:
            raise InvalidInputError("backfill: prefix must be the beginning of keys")
        if type(instances) is not int or not 1 <= instances <= _MOST_INSTANCES:
            raise InvalidInputError(f"backfill: instances must be 1 to {_MOST_INSTANCES}, not {str(instances)[:80]!r}")
        if type(older) is not bool:
            raise InvalidInputError("backfill: older must be true or false")
        before = in_service_since if older else None
        if redetect is not False:
            before = asked_at if redetect is True else _moment(redetect)
        return cls(image_prefix(prefix), instances, before, anew=redetect is not False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "BackfillRequest":
        before = document["before"]
        moment = datetime.fromisoformat(before) if before else None
        return cls(document["prefix"], document["instances"], moment, document["anew"])

    @property
    def document(self) -> dict[str, Any]:
        before = timestamp(self.before) if self.before else None
        return {"prefix": self.prefix, "instances": self.instances, "before": before, "anew": self.anew}


def image_prefix(prefix: str) -> str:
    """Return a prefix of images' keys, stated with or without `images/`."""
    stated = prefix.removeprefix("/")
    return IMAGES if f"{stated}/" == IMAGES else stated if stated.startswith(IMAGES) else f"{IMAGES}{stated}"


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"backfill: redetect must be true or a moment, not {str(text)[:80]!r}") from error
    if moment.tzinfo is None:
        raise InvalidInputError(f"backfill: the moment {text} has no time zone")
    return moment
