"""From a notification of asynchronous inference to the image's document."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dropspot.awaiting import MOST_FAILURES, Answered, Awaited
from dropspot.errors import InvalidInputError, TransientError
from dropspot.giving_back import NotBegunError
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

_ANSWERING = {"InService", "Updating", "SystemUpdating"}
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
        if answered.failure:
            rejection = RejectedImageError(REFUSED_BY_MODEL, answered.failure, self._run_that_refused())
            return self._place(awaited, rejected_document(awaited.picture, rejection, self.now()))
        run = self._run_that_answered(answered)
        if run is None:
            return self._ask_again(awaited, "outdated")
        model = served_model(self.store, run, self.score_threshold)  # type: ignore[arg-type]  # stores hash by identity
        prediction = json.loads(self.store.read(answered.answer_key).body)["prediction"]
        return self._place(awaited, detected_document(awaited.picture, model, prediction, self.now()))

    def _run_that_answered(self, answered: Answered) -> Run | None:
        """Return the run whose model answered, None where that isn't certain: the endpoint has another one by now.

        A request that waited while the endpoint was changed may have been answered by the model before or after. It was
        made to the config that its answer's place names, so where the endpoint still has that one, no other answered.
        An endpoint whose instances come and go is Updating too, with the same model all the while.
        """
        try:
            run = Run.from_id(self.app_name, answered.run_id)
        except InvalidInputError:
            return None
        if self.endpoint and _has_two_models(self.endpoint):
            raise NotBegunError(f"collect inference {answered.inference_id}: the endpoint is {self.endpoint.status}")
        return run if self._is_served_by(run) else None

    def _is_served_by(self, run: Run) -> bool:
        here = self.endpoint
        return here is not None and here.status in _ANSWERING and here.config == run.endpoint_config

    def _run_that_refused(self) -> str | None:
        """Return the id of the run whose model refuses, None where it may be another's: a failure names no config."""
        if self.endpoint is None or self.champion is None or _has_two_models(self.endpoint):
            return None
        return self.champion if self._is_served_by(Run.from_id(self.app_name, self.champion)) else None

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


def _has_two_models(endpoint: Endpoint) -> bool:
    """Tell whether one model is replacing another, or coming back."""
    return endpoint.status == "RollingBack" or endpoint.pending not in {"", endpoint.config}
