"""Whose answer it is: which run's model an endpoint's answer came from, also while one model replaces another."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from dropspot import documents
from dropspot.endpoint import CHAMPION, DESIRED
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.giving_back import DEPLOYMENT_SECONDS, NotBegunError
from dropspot.ports import Answer, ObjectStore
from dropspot.runs import Run, digest
from dropspot.settled import Settled

_SAYS = "run_id="


def attributes_of(run: Run) -> str:
    """Return what our own container says of itself with every answer."""
    return f"{_SAYS}{run.run_id}"


def variant_of(classes: Sequence[str]) -> str:
    """Return the name of the production variant that serves models of these classes.

    SageMaker shifts traffic step by step only between configs whose variants have the same name. Models of one list of
    classes share a name, so no answer's class ids are ever read with another model's names. It is no run's id.
    """
    return f"classes-{digest(list(classes))[:12]}"


Read = Callable[[str], Any | None]  # documents of the store by their key, None where there is none


def answering_run(store: ObjectStore, app: str, answer: Answer, read: Read | None = None) -> Run:
    """Return the run whose model gave the answer.

    Our container says so itself. Of another container's answer the variant tells the classes: it is the champion's, or,
    where the champion has other classes, that of the run that is being put into service. `read`, where it is given, may
    keep these documents for as long as a batch of images takes. NotBegunError: it is the model's of a deployment that
    nobody wants any more. TransientError: nobody's.
    """
    with suppress(InvalidInputError):
        return Run.from_id(app, answer.attributes.removeprefix(_SAYS))
    with suppress(InvalidInputError):
        return Run.from_id(app, answer.variant)  # an endpoint of a time when variants were named for runs
    for run in _candidates(app, read or partial(documents.read_or_none, store)):
        with suppress(NotFoundError):
            if _variant(store, run) == answer.variant:  # type: ignore[arg-type]  # stores hash by identity
                return run
    what = f"the endpoint's variant {answer.variant} is no run's that is, or should be, in service"
    if Settled.read(store) is None:
        raise NotBegunError(what, DEPLOYMENT_SECONDS)
    raise TransientError(what)


def _candidates(app: str, read: Read) -> Iterator[Run]:
    for key in (CHAMPION, DESIRED):
        document = read(key)
        if document:
            yield Run.from_id(app, document["run_id"])


@lru_cache(maxsize=16)
def _variant(store: ObjectStore, run: Run) -> str:
    """Return the variant of the run's model; a run's classes never change."""
    return variant_of(documents.read(store, run.key("prepared", "classes.json"))["classes"])
