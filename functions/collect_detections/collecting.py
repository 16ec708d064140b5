"""From a notification of asynchronous inference to the image's document."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dropspot.awaiting import MOST_FAILURES, Answered, Awaited
from dropspot.errors import TransientError
from dropspot.giving_back import DEPLOYMENT_SECONDS, NotBegunError
from dropspot.images import (
    REFUSED_BY_MODEL,
    RejectedImageError,
    detected_document,
    rejected_document,
)
from dropspot.look_again import look_again
from dropspot.looking import served_model
from dropspot.placing import Placed, Placer
from dropspot.ports import Endpoint, ObjectStore
from dropspot.runs import Run
from dropspot.settled import Settled

_PATIENCE = 4  # receives of an answer that came sooner than it was written down that it is awaited


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of an answer: its document, where that was put in place and others shall know of it."""

    key: str
    outcome: str
    awaited: Awaited | None = None
    document: dict[str, Any] | None = None
    is_done: bool = True


@dataclass(frozen=True, slots=True)
class Collector:
    """What collecting needs: the endpoint as it is now, and ways to have an image looked at again, or given up."""

    app_name: str
    score_threshold: str
    store: ObjectStore
    now: Callable[[], datetime]
    endpoint: Endpoint | None
    champion: str | None
    settled: Settled | None
    send: Callable[[str], None]
    set_aside: Callable[[str, Exception], None]

    def collect(self, body: str, receives: int) -> Collected:
        """Deal with one notification, received so many times.

        TransientError: nothing is known of the image yet. NotBegunError: one model is replacing another.
        InvalidInputError: the message is no notification of ours. ValueError: the answer is no model's of ours.
        """
        answered = Answered.from_message(body, self.store.bucket)
        awaited = Awaited.read(self.store, answered.inference_id)
        if awaited is None:
            if receives < _PATIENCE:
                raise TransientError(f"collect inference {answered.inference_id}: nobody awaits it yet")
            return Collected("", "unawaited")  # collected already: the notification was delivered twice
        if answered.failure and not answered.is_refusal:
            return self._failed(awaited, answered)
        run = self._run_that_answered(awaited, answered)
        if run is None:
            return self._ask_again(awaited, "outdated")
        if answered.failure:
            rejection = RejectedImageError(REFUSED_BY_MODEL, answered.failure, run.run_id)
            return self._place(awaited, rejected_document(awaited.picture, rejection, self.now()))
        model = served_model(self.store, run, self.score_threshold)  # type: ignore[arg-type]  # stores hash by identity
        prediction = json.loads(self.store.read(answered.answer_key).body)["prediction"]
        return self._place(awaited, detected_document(awaited.picture, model, prediction, self.now()))

    def _run_that_answered(self, awaited: Awaited, answered: Answered) -> Run | None:
        """Return the run whose model answered or refused, None where that isn't certain: then the image is asked again.

        A request that waited while one model replaced another may have been answered by either, whatever came of that
        deployment. So only the answer counts that was asked for since one model alone has answered, and it lies in
        that run's place.
        """
        if self.endpoint is None or not self.endpoint.answers:
            return None
        if self.settled is None or self.endpoint.has_two_models:
            what = f"collect inference {answered.inference_id}: the endpoint is {self.endpoint.status}"
            raise NotBegunError(f"{what}, and its model not settled", DEPLOYMENT_SECONDS)
        if not self.settled.has_answered(answered.received_at or awaited.asked_at):
            return None
        if answered.answer_key and answered.run_id != self.settled.run_id:
            return None
        return Run.from_id(self.app_name, self.settled.run_id)

    def _failed(self, awaited: Awaited, answered: Answered) -> Collected:
        """Let the image be asked about again, some times; then it is given up, and its failures are forgotten."""
        failed = replace(awaited, failures=awaited.failures + 1)
        if failed.failures < MOST_FAILURES:
            return self._ask_again(failed, "failed")
        given_up = replace(awaited, asked_at=None, failures=0)
        given_up.write(self.store)
        key = awaited.picture.image.key
        error = TransientError(f"look at {key}: inference failed {failed.failures} times: {answered.failure}")
        self.set_aside(look_again(key, anew=awaited.anew), error)
        return Collected(key, "abandoned", given_up)

    def _ask_again(self, awaited: Awaited, why: str) -> Collected:
        """Have the image looked at again; it is known that no answer is awaited before anybody is told to ask."""
        awaited = replace(awaited, asked_at=None)
        awaited.write(self.store)
        key = awaited.picture.image.key
        self.send(look_again(key, anew=awaited.anew))
        return Collected(key, why, awaited, is_done=False)

    def _place(self, awaited: Awaited, document: dict[str, Any]) -> Collected:
        placed = Placer(self.store, self.champion, awaited.anew, self.now).put(document)
        if placed is Placed.LEFT:
            return replace(self._ask_again(replace(awaited, anew=False), "left"), is_done=True)
        # Whoever died before it told of an equal document leaves that to the message's next delivery.
        is_news = placed is not Placed.KEPT
        return Collected(awaited.picture.image.key, placed.value, awaited, document if is_news else None)
