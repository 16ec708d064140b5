"""Which pictures are trained on, which watched during training, and which held out for the final score.

Decided by content alone: pictures with the same pixels form one group, a group's place in line is a keyed hash of its
pixels, so neither file names nor order matter, and no picture can be on two sides.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import SPLITS, Split
from prep.model import LabelledPicture

ENOUGH_TO_HOLD_OUT = 3


@dataclass(frozen=True, slots=True)
class _Group:
    """Pictures with the same pixels, and the classes on any of them."""

    key: str
    pictures: tuple[LabelledPicture, ...]
    classes: frozenset[str]


def split(pictures: Sequence[LabelledPicture], plan: Split) -> dict[str, list[LabelledPicture]]:
    """Share the pictures out, each class by the plan's shares as nearly as whole pictures allow.

    Every class is in train. A class with at least three different pictures is also in validation and test, unless
    other classes need those pictures for training. Where no class has three, what training can spare is held out.
    Each side comes in the order of the draw, which is a shuffle. Raises InvalidInputError where validation or test
    would be empty.
    """
    groups = _groups(pictures, plan.seed)
    sides: dict[str, str] = {}
    for stratum in _strata(groups):
        for group, side in zip(stratum, _line_up(len(stratum), plan.shares), strict=True):
            sides[group.key] = side
    _repair(groups, sides)
    missing = [side for side in SPLITS if side not in sides.values()]
    if missing:
        raise InvalidInputError(
            f"{len(groups)} different usable pictures are too few to split: nothing is left for {' and '.join(missing)}"
            " (every class stays in training)"
        )
    shared: dict[str, list[LabelledPicture]] = {side: [] for side in SPLITS}
    for group in groups:
        shared[sides[group.key]] += group.pictures
    return shared


def _groups(pictures: Sequence[LabelledPicture], seed: int) -> list[_Group]:
    alike = defaultdict(list)
    for picture in pictures:
        alike[hashlib.sha256(f"{seed}:{picture.pixel_digest}".encode()).hexdigest()].append(picture)
    return [
        _Group(
            key,
            tuple(sorted(alike[key], key=lambda picture: (picture.payload_digest, sorted(picture.boxes)))),
            frozenset(box.name for picture in alike[key] for box in picture.boxes),
        )
        for key in sorted(alike)
    ]


def _holders(groups: Sequence[_Group]) -> dict[str, list[_Group]]:
    """The groups on which each class appears, rarest class first."""
    holders = defaultdict(list)
    for group in groups:
        for name in group.classes:
            holders[name].append(group)
    return dict(sorted(holders.items(), key=lambda item: (len(item[1]), item[0])))


def _strata(groups: Sequence[_Group]) -> list[list[_Group]]:
    """The groups shared out among their rarest classes, so that a rare class is drawn from before a common one."""
    strata, placed = [], set[str]()
    for holders in _holders(groups).values():
        stratum = [group for group in holders if group.key not in placed]
        placed.update(group.key for group in stratum)
        if stratum:
            strata.append(stratum)
    return strata


def _line_up(count: int, shares: tuple[float, float, float]) -> list[str]:
    """One side for each place of a stratum: the largest remainders get the odd pictures, train never goes empty."""
    wanted = [share * count for share in shares]
    counts = [int(amount + 1e-9) for amount in wanted]
    by_remainder = sorted(range(3), key=lambda i: counts[i] - wanted[i])
    for i in by_remainder[: count - sum(counts)]:
        counts[i] += 1
    smallest = (1, 1, 1) if count >= ENOUGH_TO_HOLD_OUT else (count, 0, 0)
    for i in range(3):
        while counts[i] < smallest[i]:
            counts[max(range(3), key=lambda j: counts[j] - smallest[j])] -= 1
            counts[i] += 1
    return [side for side, amount in zip(SPLITS, counts, strict=True) for _ in range(amount)]


def _repair(groups: Sequence[_Group], sides: dict[str, str]) -> None:
    """Bring classes to sides they are missing from, and pictures to empty sides, by moving what nothing needs.

    Strata are drawn one by one, so a class whose pictures are spread over the strata of rarer ones may have missed a
    side although it has enough of them.
    """
    holders = _holders(groups)
    for members in holders.values():
        if len(members) < ENOUGH_TO_HOLD_OUT:
            continue
        for side in SPLITS[1:]:
            if any(sides[group.key] == side for group in members):
                continue
            _move_one(members, side, holders, sides)
    for side in SPLITS[1:]:
        if side not in sides.values():  # no class has enough pictures; hold out some of which training has another
            _move_one(groups, side, holders, sides)


def _move_one(
    candidates: Sequence[_Group], side: str, holders: Mapping[str, Sequence[_Group]], sides: dict[str, str]
) -> None:
    """Move the first candidate that nothing needs where it is; none may be."""
    movable = next((group for group in candidates if not _needed(group, holders, sides)), None)
    if movable:
        sides[movable.key] = side


def _needed(group: _Group, holders: Mapping[str, Sequence[_Group]], sides: Mapping[str, str]) -> bool:
    """Whether some class has no other picture on this group's side."""
    side = sides[group.key]
    return any(all(sides[other.key] != side or other is group for other in holders[name]) for name in group.classes)
