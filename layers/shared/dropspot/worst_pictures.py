"""The held-out pictures that a model saw worst: what is there beside what it found, as shapes to draw."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dropspot.confusion import Outcome
from dropspot.evaluation import Evaluation, HeldOutPicture
from dropspot.scoring import Box, Detection

MOST_PICTURES = 12
MOST_BYTES = 3_000_000  # of pictures that become part of the page; those beyond are linked to


@dataclass(frozen=True, slots=True)
class Shape:
    """A box to draw, in pixels by its upper left corner; `kind` is right, wrong, missed or difficult."""

    x: float
    y: float
    width: float
    height: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class WorstPicture:
    """A picture with its truth on one side and what was found on the other; `source` is its data, or where it lies."""

    name: str
    width: int
    height: int
    source: str
    truth: tuple[Shape, ...]
    found: tuple[Shape, ...]
    summary: str


def worst_pictures(
    evaluation: Evaluation,
    truth: Mapping[str, HeldOutPicture],
    read: Callable[[str], bytes | None],
    link: Callable[[str], str],
) -> list[WorstPicture]:
    """Return the pictures with mistakes, the worst first; `read` gives a picture's JPEG, `link` where it lies.

    A picture that can't be read is linked to.
    """
    severe = sorted(evaluation.outcomes.items(), key=lambda item: (-item[1].severity, item[0]))
    labels = [one.label for one in evaluation.classes]
    left, pictures = MOST_BYTES, []
    for name, outcome in severe[:MOST_PICTURES]:
        if outcome.severity > 0:
            source, body = link(name), read(name)
            if body is not None and len(body) <= left:
                left -= len(body)
                source = f"data:image/jpeg;base64,{base64.b64encode(body).decode()}"
            pictures.append(_pictured(name, truth[name], outcome, labels, source))
    return pictures


def _pictured(name: str, picture: HeldOutPicture, outcome: Outcome, labels: Sequence[str], source: str) -> WorstPicture:
    taken = {id(box): detection for box, detection in outcome.pairs}
    truth = tuple(_true_shape(box, taken.get(id(box)), labels) for box in picture.boxes)
    paired = tuple(
        _found_shape(detection, labels, "right" if box.class_id == detection.class_id else "wrong")
        for box, detection in outcome.pairs
    )
    invented = tuple(_found_shape(detection, labels, "wrong") for detection in outcome.invented)
    return WorstPicture(
        name, picture.width, picture.height, source, truth, paired + invented, _summary(outcome, labels)
    )


def _true_shape(box: Box, taken: Detection | None, labels: Sequence[str]) -> Shape:
    kind = "missed" if taken is None else "right" if taken.class_id == box.class_id else "wrong"
    return _shape(box, labels[box.class_id], "difficult" if box.difficult else kind)


def _found_shape(detection: Detection, labels: Sequence[str], kind: str) -> Shape:
    return _shape(detection, f"{labels[detection.class_id]} {detection.score:.2f}", kind)


def _shape(box: Box | Detection, text: str, kind: str) -> Shape:
    return Shape(box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin, text, kind)


def _summary(outcome: Outcome, labels: Sequence[str]) -> str:
    """Return what went wrong, in a line."""
    parts = []
    if outcome.missed:
        parts.append(f"missed: {_listed([labels[box.class_id] for box in outcome.missed])}")
    if outcome.confused:
        confused = [f"{labels[box.class_id]} for {labels[found.class_id]}" for box, found in outcome.confused]
        parts.append(f"mistaken: {_listed(confused)}")
    if outcome.invented:
        parts.append(f"not there: {_listed([labels[found.class_id] for found in outcome.invented])}")
    return "; ".join(parts)


def _listed(words: Sequence[str]) -> str:
    counts = {word: words.count(word) for word in words}
    return ", ".join(f"{count} {word}" if count > 1 else word for word, count in counts.items())
