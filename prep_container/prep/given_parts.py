"""The parts (train, validation, test) that a data set comes with, and whether they are followed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import Split
from prep.lists import GivenLists, part_of_list
from prep.matching import Pair
from prep.model import LabelledPicture
from prep.naming import part_of_place

# From the least to the most protected: what is held out must never be trained on.
PARTS = ("train", "trainval", "validation", "test")
TRAINING, HELD_OUT = frozenset({"train", "trainval"}), frozenset({"validation", "test"})
FEW_LISTS = 6  # that a sentence names


@dataclass(frozen=True, slots=True)
class Division:
    """How the pictures are divided.

    `how` is "lists" where the data set's own parts are followed, else "content". `reason` is a sentence for people.
    `parts` gives the part of each picture by its path, as the data set has it, the same for all pictures with the same
    pixels; `conflicts` says, for pictures that were given to several parts, what became of them.
    """

    how: str
    reason: str
    parts: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, str]:
        return {"how": self.how, "reason": self.reason}


def given_division(
    pairs: Sequence[Pair], labelled: Sequence[LabelledPicture], listed: GivenLists, plan: Split
) -> Division:
    """Decide whether the data set's own parts are followed.

    They are what its part lists say; without such lists, what the annotations' layout says, then the folders (`train`,
    `val2017`, ...) or archives that pictures lie in. What lists don't name stays held out where these hold it out.
    Parts are followed where there is one to train on and one to hold out, and each has boxes: half of its pictures or
    more are annotated with an object, and one at least is usable (pictures annotated as showing nothing do not count).
    `labelled` are the usable pictures, copies included, so that copies in different parts are seen. Raises
    InvalidInputError where the plan insists on what cannot be followed.
    """
    drawn = f"drawn by content, {'/'.join(f'{share * 100:g}' for share in plan.shares)}"
    if plan.lists == "ignore":
        return Division("content", f"{drawn}, as the plan says")
    parts, conflicts, source = _given(pairs, listed)
    parts, conflicts = _one_part_per_content(labelled, parts, conflicts)
    obstacle = _obstacle(pairs, labelled, listed, parts)
    if obstacle and plan.lists == "follow":
        raise InvalidInputError(f'the plan\'s split.lists is "follow", but {obstacle}')
    aside = _unfollowed(listed)
    if obstacle:
        return Division("content", (f"{drawn}: {obstacle}" if parts or listed.unreadable else drawn) + aside)
    return Division("lists", source + _drawn_from_training(parts, plan) + aside, parts, conflicts)


def _given(pairs: Sequence[Pair], listed: GivenLists) -> tuple[dict[str, str], dict[str, str], str]:
    """The part of each picture, the conflicts among statements, and a sentence on where this was found."""
    part_lists = {path: part for path in listed.lists if (part := part_of_list(path))}
    by_lists = {
        picture: {path: part_lists[path] for path in paths if path in part_lists}
        for picture, paths in listed.named.items()
    }
    said = {picture: set(parts.values()) for picture, parts in by_lists.items() if parts}
    named = set().union(*said.values())
    stated = {pair.picture.path: set(pair.annotation.parts) for pair in pairs if pair.annotation.parts}
    by_layout, doubly = _all_settled(
        stated, {path: f"annotations give it to {' and '.join(sorted(parts))}" for path, parts in stated.items()}
    )
    folders = {path: part_of_place(path, listed.archives.get(path, "")) for path in _present(pairs, listed)}
    otherwise = {path: part for path, part in {**folders, **by_layout}.items() if part}
    if (named & TRAINING and named & HELD_OUT) or {"train", "trainval"} <= named:
        parts, conflicts = _all_settled(
            said, {path: f"it is named in {' and '.join(sorted(by_lists[path]))}" for path in said}
        )
        unlisted = {pair.picture.path for pair in pairs} - set(said)
        kept = {path: part for path in unlisted if (part := otherwise.get(path, "")) in HELD_OUT}
        aside = f"; on none of them, but held out by annotations or folders: {_counted(kept)}" if kept else ""
        return parts | kept, conflicts, _of_lists(listed, part_lists) + aside
    parts = otherwise or {picture: _settled(choices, named) for picture, choices in said.items()}
    origin = "parts stated by the data set's annotations" if by_layout else "data set's own folders"
    if not by_layout and any(not part_of_place(path) for path in otherwise):
        origin += " and archives"
    return parts, doubly, f"the {origin} are followed: {_counted(parts)}"


def _all_settled(said: Mapping[str, set[str]], why: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """One part for each picture of which several may be said, and a sentence for those where they conflict."""
    named = set().union(*said.values())
    parts = {picture: part for picture, choices in said.items() if (part := _settled(choices, named))}
    conflicts = {
        picture: f"{why[picture]}; used for {parts[picture]}"
        for picture, choices in said.items()
        if len(choices - {"trainval"}) > 1 or {"trainval", "test"} <= choices
    }
    return parts, conflicts


def _settled(choices: set[str], named: set[str]) -> str:
    """One part for a picture on several lists: the more specific list wins, then the more protected part.

    What is on the list "trainval" alone belongs to that of the two whose own list is missing, and to none of them
    where both are there.
    """
    specific = choices - {"trainval"}
    if specific:
        return max(specific, key=PARTS.index)
    return {
        (False, False): "trainval",
        (True, False): "validation",
        (False, True): "train",
        (True, True): "",
    }["train" in named, "validation" in named]


def _present(pairs: Sequence[Pair], listed: GivenLists) -> set[str]:
    return {pair.picture.path for pair in pairs} | set(listed.pictures)


def _one_part_per_content(
    labelled: Sequence[LabelledPicture], parts: Mapping[str, str], conflicts: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Give pictures with the same pixels the most protected of their parts, so that nothing leaks."""
    alike = defaultdict(list)
    for picture in labelled:
        alike[picture.pixel_digest].append(picture.source.path)
    settled, remarks = dict(parts), dict(conflicts)
    for paths in alike.values():
        given = {parts[path]: path for path in sorted(paths, reverse=True) if path in parts}
        if not given:
            continue
        final = max(given, key=PARTS.index)
        settled.update(dict.fromkeys(paths, final))
        if len(given) > 1:
            places = " and ".join(f"{part} ({given[part]})" for part in PARTS if part in given)
            remarks.update(dict.fromkeys(paths, f"the same picture was given to {places}; used for {final}"))
    return settled, remarks


def _obstacle(
    pairs: Sequence[Pair], labelled: Sequence[LabelledPicture], listed: GivenLists, parts: Mapping[str, str]
) -> str:
    """Why the parts cannot be followed, or ""."""
    if listed.unreadable:
        return f"{listed.unreadable[0]}, which is called like the list of a part, cannot be read"
    present = _present(pairs, listed)
    stated = {pair.picture.path: bool(pair.annotation.boxes) for pair in pairs}
    usable = {picture.source.path for picture in labelled}
    named = [part for part in PARTS if any(parts.get(path) == part for path in present)]
    if not named:
        return "the data set does not say which pictures are for which part"
    if not TRAINING & set(named) or not HELD_OUT & set(named):
        return f"the only part that the data set names is {' and '.join(named)}"
    for part in named:
        members = [path for path in present if parts.get(path) == part]
        # An annotation without an object says that there is none: no evidence for or against boxes.
        asked = [path for path in members if stated.get(path) is not False]
        annotated = [path for path in asked if path in stated]
        if not annotated or not any(path in usable for path in annotated):
            what = "boxes" if not annotated else "usable boxes"
            return f"the data set's {part} part ({_pictures(len(members))}) has no {what}"
        if 2 * len(annotated) < len(asked):
            return f"only {len(annotated)} of the {len(asked)} pictures of the data set's {part} part have boxes"
    return ""


def _unfollowed(listed: GivenLists) -> str:
    """A word on files that name pictures, but are not called like lists that are followed."""
    if not listed.unfollowed:
        return ""
    named = ", ".join(listed.unfollowed[:FEW_LISTS])
    more = f" and {len(listed.unfollowed) - FEW_LISTS} more" if len(listed.unfollowed) > FEW_LISTS else ""
    return f"; {named}{more} would have to be called train.txt, val.txt or test.txt to be followed"


def _drawn_from_training(parts: Mapping[str, str], plan: Split) -> str:
    held_out = HELD_OUT & set(parts.values())
    if len(held_out) > 1:
        return ""
    share = plan.validation / (plan.train + plan.validation)
    return (
        f"; its {next(iter(held_out))} part is held out for the final score, "
        f"and {share:.3g} of the rest is drawn by content for validation"
    )


def _of_lists(listed: GivenLists, part_lists: Mapping[str, str]) -> str:
    redundant = {"train", "validation"} <= set(part_lists.values())
    followed = [path for path, part in part_lists.items() if part != "trainval" or not redundant]
    paths = sorted(followed, key=lambda path: (PARTS.index(part_lists[path]), path))
    names, last_folder = [], None
    for path in paths[:FEW_LISTS]:
        folder, _, name = path.rpartition("/")
        names.append(f"{name if folder == last_folder else path} ({listed.lists[path]})")
        last_folder = folder
    more = f" and {len(paths) - FEW_LISTS} more" if len(paths) > FEW_LISTS else ""
    return f"the data set's own lists are followed: {', '.join(names)}{more}"


def _counted(parts: Mapping[str, str]) -> str:
    counts = {part: sum(given == part for given in parts.values()) for part in PARTS}
    return ", ".join(f"{part} ({count})" for part, count in counts.items() if count)


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"
