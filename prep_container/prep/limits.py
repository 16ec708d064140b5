"""When a data set as a whole cannot be used: one sentence that says why.

The limit on losses counts what was meant to be a picture to use, and is not: pictures that are left out, files called
like pictures that are not read at all (links, unsafe members of archives, those that are too large, of another kind or
that the system does not let be read), and pictures that are not there although boxes on them are annotated; each once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import PreparationPlan
from prep.kinds import SUFFIX_FORMATS, suffix
from prep.model import Annotation, LabelledPicture, stem
from prep.naming import fold, path_parts
from prep.quarantine import Entry, Quarantine

# Why a file is not read that may have been meant as a picture, and why an annotation has none.
_CONSEQUENCES = frozenset(
    {"no_annotation", "no_usable_box", "listed_without_annotation", "unsupported_file", "unsupported_image"}
)
_UNREAD = frozenset({"unsafe_member", "file_too_large", "unreadable_file", "unsupported_image"})
_PICTURE_MISSING = frozenset({"annotation_without_image", "annotation_of_unsupported_image", "outside_reference"})


def wanted_classes(annotations: Iterable[Annotation], plan: PreparationPlan) -> set[str]:
    """The classes that training must end up with, by the plan's names.

    Raises InvalidInputError where the plan asks for a class that no annotation has.
    """
    found = {box.name for annotation in annotations for box in annotation.boxes}
    wanted = plan.class_names
    if wanted is None:
        return found
    unknown = sorted(set(wanted) - found)
    if unknown:
        has = ", ".join(repr(name) for name in sorted(found)[:20]) or "none"
        raise InvalidInputError(f"the plan asks for the class {unknown[0]!r}, the data set's classes are: {has}")
    return set(wanted.values())


def missing_pictures(
    pictures: Iterable[str], annotations: Iterable[Annotation], plan: PreparationPlan, quarantine: Quarantine
) -> list[Entry]:
    """One entry for each picture that was meant to be there, and is not among `pictures` (their paths).

    A link called `1.jpg` and the annotation that finds no picture of this name are one loss.
    """
    known, names = set(pictures), plan.class_names
    described = {
        (annotation.file.path, annotation.item): annotation
        for annotation in annotations
        if any(names is None or box.name in names for box in annotation.boxes)
    }
    unread: dict[str, list[Entry]] = defaultdict(list)
    stated: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in quarantine.sorted():
        if not entry.left_out or entry.deliberate or entry.box is not None:
            continue
        name = entry.file.rpartition("/")[2]
        if entry.code in _UNREAD and suffix(name) in SUFFIX_FORMATS and not name.startswith("._"):
            if entry.file not in known:
                unread[fold(stem(name))].append(entry)
        elif entry.code in _PICTURE_MISSING and (annotation := described.get((entry.file, entry.item))):
            # The same bare name in two folders is two pictures; the same in two entries of a file is one.
            folder = entry.file.rpartition("/")[0]
            path = path_parts(annotation.picture_name) or [annotation.file.stem]
            stated[fold(stem(path[-1]))].setdefault(fold("/".join([folder, "", *path])), entry)
    return [
        entry
        for name in sorted({*unread, *stated})
        for entry in max(unread[name], list(stated[name].values()), key=len)
    ]


def check_losses(found: int, left_out: Sequence[Entry], max_left_out: float, missing: Sequence[Entry] = ()) -> None:
    """Raise InvalidInputError if too large a share of the pictures was lost.

    `left_out` are entries of pictures among the `found`, `missing` those of pictures that are not. Pictures that were
    never meant to be used (copies, classes not asked for, a published test list without boxes) count neither as lost
    nor as found.
    """
    lost = [entry for entry in left_out if not entry.deliberate]
    meant = found + len(missing) - (len(left_out) - len(lost))
    lost += missing
    if meant and len(lost) / meant > max_left_out:
        code, count = Counter(entry.code for entry in lost).most_common(1)[0]
        example = next(entry for entry in lost if entry.code == code)
        raise InvalidInputError(
            f"{len(lost)} of {meant} pictures ({len(lost) / meant:.1%}) had to be left out, the limit is "
            f"{max_left_out:.0%} (the plan's quarantine.max_left_out); most often: {code} ({count}), "
            f"for example {example.place}: {example.reason}"
        )


def check_classes(
    wanted: Iterable[str],
    pictures: Iterable[LabelledPicture],
    quarantine: Quarantine,
    annotations: Iterable[Annotation] = (),
    plan: PreparationPlan | None = None,
) -> None:
    """Raise InvalidInputError if a class has no usable picture left.

    `annotations` and `plan` let the error say how much of the class the plan itself leaves out.
    """
    present = {box.name for picture in pictures for box in picture.boxes}
    gone = sorted(set(wanted) - present)
    if gone:
        by_plan = _left_out_by_plan(gone[0], annotations, plan) if plan else ""
        raise InvalidInputError(
            f"no usable picture of the class {gone[0]!r} is left{by_plan}; left out: {_summary(quarantine)}"
        )


def _left_out_by_plan(name: str, annotations: Iterable[Annotation], plan: PreparationPlan) -> str:
    """How many boxes of a class the plan leaves out for what they are marked as, as part of a sentence, or ""."""
    names = plan.class_names
    boxes = [
        box for a in annotations for box in a.boxes if (box.name if names is None else names.get(box.name)) == name
    ]
    rules = plan.boxes
    dropped = {
        mark: sum(getattr(box, mark) for box in boxes)
        for mark, rule in (("crowd", rules.crowd), ("difficult", rules.difficult), ("truncated", rules.truncated))
        if rule == "drop"
    }
    marked = [f"{count} marked {mark} (boxes.{mark})" for mark, count in dropped.items() if count]
    return (
        f": of its {_counted(len(boxes), 'box', 'boxes')} the plan leaves out {' and '.join(marked)}" if marked else ""
    )


def nothing_usable(pictures: int, annotations: int, quarantine: Quarantine) -> InvalidInputError:
    """The error for a data set in which not one box on a picture can be used."""
    return InvalidInputError(
        f"the data set has no usable annotation: {_counted(pictures, 'picture')} and "
        f"{_counted(annotations, 'readable annotation')} were found, and no box on any picture; "
        f"left out: {_summary(quarantine)}"
    )


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def _summary(quarantine: Quarantine) -> str:
    """Counts per code and an example of the most frequent cause: enough to begin mending with."""
    numbers = quarantine.counts()
    counts = ", ".join(f"{count} {code}" for code, count in numbers.items())
    left_out = [entry for entry in quarantine.sorted() if entry.left_out and not entry.deliberate]
    # A picture without annotation says less than the annotation that could not be read.
    example = min(left_out, key=lambda entry: (entry.code in _CONSEQUENCES, -numbers[entry.code]), default=None)
    return f"{counts}; for example {example.place}: {example.reason}" if example else counts or "nothing"
