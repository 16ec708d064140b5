"""Which pictures are trained on, which watched during training, and which held out for the final score.

Where the data set's own parts are not followed, content alone decides: pictures with the same pixels form one group, a
group's place in line is a keyed hash of its pixels, so neither file names nor order matter, and no picture can be on
two sides.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import SPLITS, Split
from prep.given_parts import HELD_OUT, PARTS, Division
from prep.model import LabelledPicture
from prep.quarantine import Quarantine

ENOUGH_TO_HOLD_OUT = 3
TRAIN, VALIDATION, TEST = SPLITS


@dataclass(frozen=True, slots=True)
class _Group:
    """Pictures with the same pixels, and the classes on any of them."""

    key: str
    pictures: tuple[LabelledPicture, ...]
    classes: frozenset[str]


def split(
    pictures: Sequence[LabelledPicture],
    plan: Split,
    division: Division | None = None,
    quarantine: Quarantine | None = None,
) -> dict[str, list[LabelledPicture]]:
    """Share the pictures out, as the data set's own parts say or by content.

    By content, each class is shared by the plan's shares as nearly as whole pictures allow. Every class is in train. A
    class with at least three different pictures is also in validation and test, unless other classes need those
    pictures for training. Where no class has three, what training can spare is held out.

    Where `division` follows the data set, its parts stay as they are; pictures it does not name are trained on, with a
    remark in `quarantine`. Where it has only one part beside training, that one is the test, on which the final score
    rests, and validation is drawn by content from what is trained on, by the same rules.

    Each side comes in the order of the draw, which is a shuffle. Raises InvalidInputError where a side would be empty.
    """
    groups = _groups(pictures, plan.seed)
    if division is None or division.how == "content":
        sides = _drawn(groups, dict(zip(SPLITS, plan.shares, strict=True)), "too few to split")
    else:
        sides = _followed(groups, plan, division, quarantine or Quarantine())
    shared: dict[str, list[LabelledPicture]] = {side: [] for side in SPLITS}
    for group in groups:
        shared[sides[group.key]] += group.pictures
    return shared


def _followed(groups: Sequence[_Group], plan: Split, division: Division, quarantine: Quarantine) -> dict[str, str]:
    """The side of each group as the data set has it."""
    parts = {group.key: _part(group, division, quarantine) for group in groups}
    held_out = HELD_OUT & set(parts.values())
    if not held_out or held_out == set(parts.values()):
        missing = "train on" if held_out else "hold out"
        raise InvalidInputError(f"the data set's own parts leave no usable picture to {missing}")
    if held_out == HELD_OUT:
        return {key: TRAIN if part == "trainval" else part for key, part in parts.items()}
    training = [group for group in groups if parts[group.key] not in HELD_OUT]
    whole = plan.train + plan.validation
    shares = {TRAIN: plan.train / whole, VALIDATION: plan.validation / whole}
    drawn = _drawn(training, shares, "too few to draw validation from the data set's own training part")
    return {group.key: drawn.get(group.key, TEST) for group in groups}


def _part(group: _Group, division: Division, quarantine: Quarantine) -> str:
    """The most protected part of a group's pictures; remarks on those that have none or had several."""
    paths = [picture.source.path for picture in group.pictures]
    given = [division.parts[path] for path in paths if path in division.parts]
    for path in paths:
        if path in division.conflicts:
            quarantine.remark(path, "split_conflict", division.conflicts[path])
        elif not given:
            quarantine.remark(path, "not_listed", "the data set's own division does not name it; used for training")
    return max(given, key=PARTS.index) if given else TRAIN


def _drawn(groups: Sequence[_Group], shares: Mapping[str, float], complaint: str) -> dict[str, str]:
    """Draw a side for each group. `shares` are of the sides, train first; the complaint is for too few groups."""
    sides: dict[str, str] = {}
    for stratum in _strata(groups):
        for group, side in zip(stratum, _line_up(len(stratum), shares), strict=True):
            sides[group.key] = side
    _repair(groups, sides, list(shares)[1:])
    missing = [side for side in shares if side not in sides.values()]
    if missing:
        raise InvalidInputError(
            f"{len(groups)} different usable pictures are {complaint}: nothing is left for {' and '.join(missing)}"
            " (every class stays in training)"
        )
    return sides


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


def _line_up(count: int, shares: Mapping[str, float]) -> list[str]:
    """One side for each place of a stratum: the largest remainders get the odd pictures, train never goes empty."""
    places = range(len(shares))
    wanted = [share * count for share in shares.values()]
    counts = [int(amount + 1e-9) for amount in wanted]
    by_remainder = sorted(places, key=lambda i: counts[i] - wanted[i])
    for i in by_remainder[: count - sum(counts)]:
        counts[i] += 1
    smallest = [1 if count >= ENOUGH_TO_HOLD_OUT else 0 for _ in places]
    if count < ENOUGH_TO_HOLD_OUT:
        smallest[0] = count
    for i in places:
        while counts[i] < smallest[i]:
            counts[max(places, key=lambda j: counts[j] - smallest[j])] -= 1
            counts[i] += 1
    return [side for side, amount in zip(shares, counts, strict=True) for _ in range(amount)]


def _repair(groups: Sequence[_Group], sides: dict[str, str], held_out: Sequence[str]) -> None:
    """Bring classes to sides they are missing from, and pictures to empty sides, by moving what nothing needs.

    Strata are drawn one by one, so a class whose pictures are spread over the strata of rarer ones may have missed a
    side although it has enough of them.
    """
    holders = _holders(groups)
    for members in holders.values():
        if len(members) < ENOUGH_TO_HOLD_OUT:
            continue
        for side in held_out:
            if any(sides[group.key] == side for group in members):
                continue
            _move_one(members, side, holders, sides)
    for side in held_out:
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
