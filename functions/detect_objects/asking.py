"""Asking without waiting: the model is told where the picture lies, and its answer comes back as a message."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dropspot.awaiting import LONGEST_WAIT, Awaited, inference_id, payload_key, payload_uri
from dropspot.images import Picture, RejectedImageError, rejected_document
from dropspot.looking import measured, prepared
from dropspot.ports import Inference, ObjectStore


@dataclass(frozen=True, slots=True)
class Asker:
    """What asking needs. `anew` asks also about an image that an answer is awaited of."""

    endpoint_name: str
    store: ObjectStore
    inference: Inference
    now: Callable[[], datetime]
    anew: bool = False

    def look(self, picture: Picture, body: bytes) -> dict[str, Any] | None:
        """Ask about the picture with these bytes; return its document where it can't be looked at.

        NotFoundError: no endpoint is in service. TransientError: it takes no request now.
        """
        name = inference_id(picture)
        awaited = Awaited.read(self.store, name)
        if awaited and awaited.asked_at and not self.anew and self.now() - awaited.asked_at < LONGEST_WAIT:
            return None
        try:
            seen, payload = prepared(picture, body)
        except RejectedImageError as rejection:
            return rejected_document(measured(picture, body), rejection, self.now())
        uri = payload_uri(picture) if payload is body else None
        if uri is None:
            self.store.write(payload_key(name), payload)
            uri = f"s3://{self.store.bucket}/{payload_key(name)}"
        asked_at = self.now()
        self.inference.submit(self.endpoint_name, uri, name)
        # The answer may come sooner than this is written: whoever gets it waits for it.
        Awaited(seen, asked_at, self.anew, awaited.failures if awaited else 0).write(self.store)
        return None
