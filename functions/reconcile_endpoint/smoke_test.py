"""A few held-out pictures through the endpoint itself, before its model is written down as champion."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from dropspot import documents
from dropspot.answering import attributes_of
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.ports import Answer, ObjectStore
from dropspot.runs import Run
from dropspot.services import Services

PICTURES = 3
_TRIES = 2  # of one picture: the endpoint may be busy
_COUNTED = 0.5  # score from which a detection must be found again
_SCORE_TOLERANCE, _LEAST_OVERLAP = (
    0.2,
    0.7,
)  # another machine computes in another order
_OUTSIDE = 0.5  # of the picture's side that a box may reach beyond it


class Row(NamedTuple):
    """A row of a prediction: the box in fractions of the picture's sides."""

    class_id: float
    score: float
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """What the pictures showed: how many there were, and what was wrong, empty where nothing was."""

    pictures: int
    fault: str = ""


def smoke_test(services: Services[Any], run: Run, classes: Sequence[str]) -> SmokeTest:
    """Ask the endpoint about held-out pictures and compare with what the evaluation recorded of them.

    NotFoundError: the endpoint is not in service any more.
    """
    asked = 0
    for name in pictures(services.store, run):
        asked += 1
        picture = services.store.read(run.key("prepared", "test", "images", name)).body
        recorded = _recorded(services.store, run.key("evaluation", "raw", f"{name}.out"))
        if fault := _fault(services, run, classes, picture, recorded):
            return SmokeTest(asked, f"the smoke test failed with the held-out picture {name}: {fault}")
    return SmokeTest(asked)


def pictures(store: ObjectStore, run: Run) -> list[str]:
    """Return the names of the pictures to ask about: held-out ones, those with the most boxes first."""
    truth = documents.read_or_none(store, run.key("prepared", "test", "truth.json")) or {"images": {}}
    names = sorted(truth["images"], key=lambda name: (-len(truth["images"][name]["boxes"]), name))
    present = (name for name in names if store.head(run.key("prepared", "test", "images", name)) is not None)
    return list(islice(present, PICTURES))


def _recorded(store: ObjectStore, key: str) -> list[Row] | None:
    try:
        return _read(store.read(key).body)
    except NotFoundError:
        return None  # nothing to compare with: that the answer is plausible must do


def _fault(
    services: Services[Any], run: Run, classes: Sequence[str], picture: bytes, recorded: list[Row] | None
) -> str:
    """Return what is wrong with the endpoint's answer, empty where it is as it should be."""
    try:
        found = _plausible(_read(_ask(services, run, picture).body), classes)
    except InvalidInputError as error:
        return str(error)
    except TransientError as error:
        return f"it was not answered in {_TRIES} tries: {error}"
    if recorded is None:
        return ""
    for wanted, among, where in ((recorded, found, "in the answer"), (found, recorded, "in the evaluation's record")):
        for row in wanted:
            if row.score >= _COUNTED and not any(_alike(row, other) for other in among):
                return f"a {classes[int(row.class_id)]} scored {row.score:.2f} has no like {where}"
    return ""


def _ask(services: Services[Any], run: Run, picture: bytes) -> Answer:
    name = services.settings.endpoint_name
    for attempt in range(1, _TRIES + 1):
        try:
            answer = services.inference.invoke(name, picture)
        except TransientError:
            if attempt == _TRIES:
                raise
        else:
            if answer.attributes not in {"", attributes_of(run)}:
                raise NotFoundError(f"invoke {name}: another model than that of run {run.run_id} answers")
            return answer
    raise AssertionError("unreachable")


def _read(body: bytes) -> list[Row]:
    try:
        return [Row(*map(float, row)) for row in json.loads(body)["prediction"]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InvalidInputError(f"it was answered with no prediction: {error!r}") from error


def _plausible(rows: list[Row], classes: Sequence[str]) -> list[Row]:
    """Return the rows; raise InvalidInputError where no detector of these classes says such a thing."""
    for row in rows:
        sides_are_near = all(-_OUTSIDE <= side <= 1 + _OUTSIDE for side in row[2:])
        if not (row.class_id in range(len(classes)) and 0 <= row.score <= 1 and sides_are_near):
            raise InvalidInputError(f"it was answered with an impossible detection: {[*row]}")
    return rows


def _alike(one: Row, other: Row) -> bool:
    near = one.class_id == other.class_id and abs(one.score - other.score) <= _SCORE_TOLERANCE
    return near and _overlap(one, other) >= _LEAST_OVERLAP


def _overlap(one: Row, other: Row) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    height = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((row.xmax - row.xmin) * (row.ymax - row.ymin) for row in (one, other))
    return width * height / (areas - width * height)
