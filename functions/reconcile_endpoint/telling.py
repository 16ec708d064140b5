"""What keeps the endpoint from being what it should be: told when it shows, not again with each pass."""

from typing import Any

from dropspot import documents
from dropspot.endpoint import ENDPOINT_STUCK
from dropspot.failures import notice, one_sentence
from dropspot.services import Services

STUCK = "endpoint/stuck.json"


def tell(services: Services[Any], trouble: str) -> None:
    """Tell of the trouble where it is another one than was told of last; empty: there is none any more."""
    sentence = one_sentence(trouble)
    told = (documents.read_or_none(services.store, STUCK) or {}).get("message", "")
    if sentence == told:
        return
    if sentence:
        services.bus.put(ENDPOINT_STUCK, {"notice": notice(f"The endpoint stays as it is: {sentence}")})
    document = {"message": sentence, "at": documents.timestamp(services.now())}
    documents.write(services.store, STUCK, document)  # last: a crash in between repeats the notification
