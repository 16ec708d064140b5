"""One look at an image: from the bytes in the bucket to the document that describes them."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from dropspot import documents
from dropspot.answering import Read, answering_run
from dropspot.errors import InvalidInputError
from dropspot.images import (
    DECOMPRESSION_BOMB,
    EMPTY_OBJECT,
    REFUSED_BY_MODEL,
    TOO_LARGE,
    Model,
    Picture,
    RejectedImageError,
    detected_document,
    rejected_document,
)
from dropspot.ports import Inference, ObjectStore
from dropspot.runs import Run
from dropspot.settled import Settled
from dropspot.sniff import PAYLOAD_LIMIT, PIXEL_LIMIT, recognised, sniff
from dropspot.thresholds import class_thresholds, global_threshold

OBJECT_LIMIT = 64 * 1024 * 1024  # bytes; what is read into the function's memory

# Images of a batch are looked at together, but decoded one at a time: a picture of PIXEL_LIMIT takes 400 MB meanwhile.
# Always by the same thread, as each one's allocator keeps what it has once held.
_normalising = ThreadPoolExecutor(1, thread_name_prefix="normalise")


@dataclass(frozen=True, slots=True)
class Looker:
    """What a look needs: whom to ask, and what to keep of the answer (`score_threshold`: a number, or `evaluated`)."""

    app_name: str
    endpoint_name: str
    score_threshold: str
    store: ObjectStore
    inference: Inference
    now: Callable[[], datetime]
    read: Read | None = None  # of what is in service; see answering_run

    def look(self, picture: Picture, body: bytes) -> dict[str, Any]:
        """Return the document of the picture with these bytes.

        NotFoundError: no endpoint is in service. NotBegunError: the one that answered is being taken back.
        TransientError: the endpoint can't answer now. ValueError: it answered what no model of ours answers.
        """
        try:
            seen, payload = prepared(picture, body)
        except RejectedImageError as rejection:
            return rejected_document(measured(picture, body), rejection, self.now())
        asked_at = self.now()
        try:
            answer = self.inference.invoke(self.endpoint_name, payload)
        except InvalidInputError as error:
            # A refusal doesn't say whose it is.
            settled = Settled.read(self.store)
            run_id = settled.run_id if settled and settled.has_answered(asked_at) else None
            return rejected_document(seen, RejectedImageError(REFUSED_BY_MODEL, str(error), run_id), self.now())
        run = answering_run(self.store, self.app_name, answer, self.read)
        model = served_model(self.store, run, self.score_threshold)  # type: ignore[arg-type]  # stores hash by identity
        return detected_document(seen, model, json.loads(answer.body)["prediction"], self.now())


def prepared(picture: Picture, body: bytes) -> tuple[Picture, bytes]:
    """Return the picture with its upright size, and the bytes to send; raise RejectedImageError.

    A picture that every detector reads as it is goes untouched; only others load the imaging layer.
    """
    if not body:
        raise RejectedImageError(EMPTY_OBJECT, "the object has no bytes")
    header = sniff(body)
    if header and header.is_bomb:
        raise RejectedImageError(
            DECOMPRESSION_BOMB, f"the picture has {header.width} x {header.height} pixels, above {PIXEL_LIMIT}"
        )
    if header and header.passes(len(body)):
        return replace(picture, content_type=header.content_type, width=header.width, height=header.height), body

    from dropspot_imaging.normalising import normalise  # noqa: PLC0415  deferred: most pictures need no Pillow

    work = _normalising.submit(normalise, body, payload_limit=PAYLOAD_LIMIT, pixel_limit=PIXEL_LIMIT)
    image = work.result()
    return replace(picture, content_type=image.content_type, width=image.width, height=image.height), image.jpeg


def too_large(picture: Picture, now: datetime) -> dict[str, Any]:
    """Return the document of an object that isn't even read."""
    message = f"the object has {picture.size} bytes, above {OBJECT_LIMIT}"
    return rejected_document(picture, RejectedImageError(TOO_LARGE, message), now)


def measured(picture: Picture, body: bytes) -> Picture:
    """Return the picture with the kind that its bytes show; the size that they claim is not to be trusted."""
    return replace(picture, content_type=recognised(body) or picture.content_type)


@lru_cache(maxsize=16)
def served_model(store: ObjectStore, run: Run, score_threshold: str) -> Model:
    """Return what documents say of the run's model; its class names and its evaluation never change."""
    classes = tuple(documents.read(store, run.key("prepared", "classes.json"))["classes"])
    thresholds = class_thresholds(store, run, score_threshold, classes)
    return Model(run.run_id, run.endpoint_config, classes, global_threshold(score_threshold), thresholds)
