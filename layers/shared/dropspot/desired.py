"""What should be in service: the stack's one model, written conditionally so that racing runs agree.

The document keeps candidates in one order, whoever comes first: what was asked for last leads, the others stand in for
it where its deployment fails. A rollback ends the list: what was asked for before it has had its turn.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dropspot import documents
from dropspot.endpoint import DESIRED, Deployment, wanted_in
from dropspot.errors import TransientError
from dropspot.ports import ObjectStore

_ATTEMPTS = 5
_KEPT = 10  # candidates in the document


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a candidate isn't what is wanted; `is_served` tells whether this stack serves its data set."""

    message: str
    is_served: bool = True


def want(store: ObjectStore, candidate: Deployment, served_dataset: str, cause: str) -> Objection | None:
    """Put the candidate in its place; return why that isn't the first, None where it is.

    `served_dataset` empty means: the first data set whose run passes the gate, which is the one in the document.
    """
    for _ in range(_ATTEMPTS):
        document, etag = documents.read_with_etag(store, DESIRED)
        present = wanted_in(candidate.run.app, document)
        if objection := of_another_dataset(candidate, present, served_dataset):
            return objection
        placed = placed_among(present, candidate)
        if placed == present or documents.replace(store, DESIRED, _document(placed, cause), etag):
            return objection_to(candidate, placed)
    raise TransientError(f"write s3://{store.bucket}/{DESIRED}: it changed {_ATTEMPTS} times in between")


def of_another_dataset(candidate: Deployment, present: tuple[Deployment, ...], served_dataset: str) -> Objection | None:
    """Return the objection to a candidate of a data set that isn't served, None where it is."""
    served = served_dataset or (present[0] if present else candidate).dataset
    if candidate.dataset == served:
        return None
    return Objection(f"this stack serves the data set {served}", is_served=False)


def placed_among(present: tuple[Deployment, ...], candidate: Deployment) -> tuple[Deployment, ...]:
    """Return the candidates with this one in its place: the result is the same in whichever order they come."""
    candidates = sorted({*present, candidate}, key=lambda wanted: wanted.order, reverse=True)
    ends = next((place for place, wanted in enumerate(candidates, 1) if wanted.requested_at), len(candidates))
    return tuple(candidates[:ends][:_KEPT])


def objection_to(candidate: Deployment, placed: tuple[Deployment, ...]) -> Objection | None:
    """Return why the candidate is not the one that is wanted, None where it is."""
    first = placed[0]
    if first == candidate:
        return None
    message = overtaken_by(first)
    return Objection(message if candidate not in placed else f"{message}; this one stands in should it fail")


def overtaken_by(first: Deployment) -> str:
    """Return why another one than the first isn't in service."""
    what = "a rollback to it was requested" if first.requested_at else "its run began"
    return f"not deployed: {first.run.run_id} is wanted in service, {what} later"


def target_of(
    wanted: Iterable[Deployment], champion: Deployment | None, has_failed: Callable[[Deployment], bool]
) -> Deployment | None:
    """Return what should be in service: the first that is wanted and hasn't failed, else the champion."""
    for candidate in wanted:
        if champion and candidate.order <= champion.order:
            break
        # The champion's deployment never fails, it is only tried again.
        if (champion and candidate.run == champion.run) or not has_failed(candidate):
            return candidate
    return champion


def attempt_at(store: ObjectStore, candidate: Deployment) -> dict[str, Any]:
    """Return what is written of the candidate's deployment; empty where only another one of the same run was tried."""
    document = documents.read_or_none(store, candidate.run.key("deploy.json")) or {}
    return document if document.get("requested_at", "") == candidate.requested_at else {}


def deployment_failed(store: ObjectStore, candidate: Deployment) -> bool:
    """Tell whether the candidate's run has failed, or only this deployment of it."""
    if store.head(candidate.run.key("failure.json")) is not None:
        return True
    return "failed" in attempt_at(store, candidate)


def had_failed(store: ObjectStore, candidate: Deployment, moment: str) -> bool:
    """Tell whether that was so at a moment already (ISO 8601, to the second)."""
    failure = documents.read_or_none(store, candidate.run.key("failure.json"))
    if failure and failure.get("at", "") <= moment:
        return True
    attempt = attempt_at(store, candidate)
    return "failed" in attempt and attempt.get("failed_at", "") <= moment


def _document(placed: tuple[Deployment, ...], cause: str) -> dict[str, Any]:
    first, *others = placed
    return first.document | {"cause": cause, "behind": [wanted.document for wanted in others]}
