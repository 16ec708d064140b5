"""What becomes of a message whose image could not be dealt with now: how long it rests, and why it is given up."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from dropspot.errors import NotFoundError, TransientError
from dropspot.failures import one_sentence

FIRST_SECONDS = 2
FIRST_SECONDS_WITHOUT_ENDPOINT = 30  # the queue is closed while no endpoint is in service, but that takes effect late
LONGEST_SECONDS = 900
DEPLOYMENT_SECONDS = 60  # while one model replaces another


class NotBegunError(TransientError):
    """It isn't the message's turn yet, and nothing failed. It is sent afresh: waiting burns none of its receives.

    `rest` is how many seconds it rests before.
    """

    def __init__(self, message: str, rest: int = 0) -> None:
        super().__init__(message)
        self.rest = rest


@contextmanager
def alone(message_id: str, errors: dict[str, BaseException]) -> Iterator[None]:
    """Whatever goes wrong with one message is that message's error, and no other's."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the batch's other images are done, and must not come again for it
        errors[message_id] = error


def rest_seconds(error: BaseException, receives: int) -> int:
    """Return how long a message rests that was received so often: each time twice as long, and at random between.

    What was throttled together must not come back together, hence a rest of anything from half of that time.
    """
    first = FIRST_SECONDS_WITHOUT_ENDPOINT if isinstance(error, NotFoundError) else FIRST_SECONDS
    longest = min(first * 2 ** min(receives - 1, 20), LONGEST_SECONDS)
    return round(random.uniform(longest / 2, longest))  # noqa: S311  # no secret


def reason(error: BaseException) -> tuple[str, str]:
    """Return the error's code and its sentence, as a message's attributes may carry them."""
    sentence = "".join(letter if letter.isprintable() else "?" for letter in one_sentence(str(error)))
    return type(error).__name__, sentence or type(error).__name__
