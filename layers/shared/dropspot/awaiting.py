"""Asynchronous inference: what is remembered of an image while its model's answer is awaited, and what comes back.

Everything lies under `async/`, which forgets after some days: in `awaited/` one document for each image, in `payloads/`
pictures that can't be sent as they lie in the bucket, in `answers/<run_id>/` what the run's model said.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from dropspot import documents
from dropspot.errors import InvalidInputError
from dropspot.images import ImageRef, Picture
from dropspot.ports import ObjectStore
from dropspot.runs import Run, digest

ASYNC = "async"  # of the parameter InferenceMode
PREFIX = "async/"
ANSWERS = f"{PREFIX}answers/"
LONGEST_WAIT = timedelta(hours=6)  # what a request may wait for an instance, at SageMaker's own limit
MOST_FAILURES = 5  # of one image; then it is given up

_AS_THEY_ARE = re.compile(r"[A-Za-z0-9/!_.*'()-]+")  # keys that any header carries
_LONGEST_URI = 1024
_REFUSAL = re.compile(r"client error \(4(?!08|29)\d\d\)")


def inference_id(picture: Picture) -> str:
    """Return the name under which this version of the image is asked about, always the same."""
    return digest(picture.image.key, picture.version_id, picture.etag)[:32]


def payload_uri(picture: Picture) -> str | None:
    """Return where an untouched picture is asked about: in its own place, None where its key is none for a header."""
    uri = f"s3://{picture.image.bucket}/{picture.image.key}"
    return uri if _AS_THEY_ARE.fullmatch(picture.image.key) and len(uri) <= _LONGEST_URI else None


def payload_key(name: str) -> str:
    """Return where a picture that had to be prepared lies."""
    return f"{PREFIX}payloads/{name}"


@dataclass(frozen=True, slots=True)
class Awaited:
    """An image that the model was asked about; `asked_at` is None while it is to be asked again after a failure."""

    picture: Picture
    asked_at: datetime | None
    anew: bool = False
    failures: int = 0

    @classmethod
    def read(cls, store: ObjectStore, name: str) -> "Awaited | None":
        """Return what is awaited under the inference's id, None where nothing is."""
        document = documents.read_or_none(store, f"{PREFIX}awaited/{name}.json")
        if document is None:
            return None
        stated = dict(document["picture"])
        picture = Picture(ImageRef(store.bucket, stated.pop("key")), **stated)
        asked = document["asked_at"]
        moment = datetime.fromisoformat(asked) if asked else None
        return cls(picture, moment, document["anew"], document["failures"])

    def write(self, store: ObjectStore) -> None:
        """Remember it."""
        stated = {
            field.name: getattr(self.picture, field.name) for field in fields(self.picture) if field.name != "image"
        }
        document = {
            "picture": {"key": self.picture.image.key, **stated},
            "asked_at": documents.timestamp(self.asked_at) if self.asked_at else None,
            "anew": self.anew,
            "failures": self.failures,
        }
        documents.write(store, f"{PREFIX}awaited/{inference_id(self.picture)}.json", document)

    def forget(self, store: ObjectStore) -> None:
        """Remove what was remembered, and the picture that was sent, unless it was asked about again meanwhile."""
        name = inference_id(self.picture)
        present = Awaited.read(store, name)
        if present and present.asked_at != self.asked_at:
            return
        store.delete(payload_key(name))
        store.delete(f"{PREFIX}awaited/{name}.json")


@dataclass(frozen=True, slots=True)
class Answered:
    """What SageMaker says of an inference: where the answer lies, or why there is none.

    `run_id` is that of the run to whose endpoint config the request was made, empty where there is no answer.
    `received_at` is when the endpoint was asked, None where that isn't said.
    """

    inference_id: str
    answer_key: str
    run_id: str
    failure: str
    received_at: datetime | None = None

    @classmethod
    def from_message(cls, body: str, bucket: str) -> "Answered":
        """Return the answer that a message from the topic tells of; raise InvalidInputError for any other message."""
        try:
            message: Mapping[str, Any] = json.loads(body)
            received = message.get("receivedTime")
            received_at = datetime.fromisoformat(received) if received else None
            name, completed = str(message["inferenceId"]), message["invocationStatus"] == "Completed"
            if not completed:
                return cls(name, "", "", str(message.get("failureReason") or "no reason is given"), received_at)
            location = str(message["responseParameters"]["outputLocation"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(f"a message tells of no inference: {error!r}") from error
        key = location.removeprefix(f"s3://{bucket}/")
        if not key.startswith(ANSWERS):
            raise InvalidInputError(f"the answer of inference {name} lies where none of ours does: {location}")
        return cls(name, key, key.removeprefix(ANSWERS).partition("/")[0], "", received_at)

    @property
    def is_refusal(self) -> bool:
        """Tell whether the model's container refused the image.

        The status of its answer is nowhere but in the reason's text, which SageMaker words "... client error (400) ..."
        408 and 429 are no refusals: the container is busy.
        """
        return _REFUSAL.search(self.failure) is not None


def answers_prefix(run: Run) -> str:
    """Return where the answers of the run's model lie, without a slash at the end."""
    return f"{ANSWERS}{run.run_id}"
