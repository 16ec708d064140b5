"""What keeps the endpoint from being what it should be: told when it shows, not again with each pass."""

import re
from typing import Any

from dropspot import documents
from dropspot.endpoint import ENDPOINT_STUCK
from dropspot.failures import notice, one_sentence
from dropspot.services import Services

STUCK = "endpoint/stuck.json"

# What AWS puts into its messages that is another with each request.
_EACH_TIME = re.compile(
    r"Request ?ID: ?[^\s;,)]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)


def tell(services: Services[Any], trouble: str) -> None:
    """Tell of the trouble where it is another one than was told of last; empty: there is none any more."""
    sentence = one_sentence(trouble)
    told = (documents.read_or_none(services.store, STUCK) or {}).get("message", "")
    if same_each_time(sentence) == same_each_time(told):
        return
    if sentence:
        services.bus.put(ENDPOINT_STUCK, {"notice": notice(f"The endpoint is not what it should be: {sentence}")})
    document = {"message": sentence, "at": documents.timestamp(services.now())}
    documents.write(services.store, STUCK, document)  # last: a crash in between repeats the notification


def same_each_time(sentence: str) -> str:
    """Return the sentence without what makes it another one with each refusal."""
    return _EACH_TIME.sub("", sentence)
