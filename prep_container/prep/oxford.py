"""The classes of the Oxford-IIIT Pets, whose annotations say "cat" or "dog": the breed is in the picture's file name.

`american_bulldog_202.jpg` shows an American bulldog, `Abyssinian_1.jpg` an Abyssinian: words, then a number, and cats
begin with a capital letter. The published list.txt has a line for every picture: its name, CLASS-ID, SPECIES (1 is a
cat, 2 a dog) and BREED-ID.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import BREED, SPECIES, PreparationPlan
from prep.model import Annotation, Kind, SourceFile, StatedBox, stem
from prep.naming import path_parts
from prep.quarantine import Quarantine

LIST_NAME = "list.txt"
EXAMPLE = "american_bulldog_202"
SPECIES_NAMES = {"1": "cat", "2": "dog"}
# At least two letters a word, and only the first may be a capital: a camera's IMG_0001 is no breed.
_PICTURE = re.compile(r"([A-Za-z][a-z]+(?:_[A-Za-z][a-z]+)*)_[0-9]+")
_LIST_LINE = re.compile(r"(?P<name>\S+)\s+(?P<class_id>\d+)\s+(?P<species>\d+)\s+\d+")


@dataclass(frozen=True, slots=True)
class _Listed:
    """What list.txt says of one picture."""

    class_id: str
    species: str


def renamed(
    annotations: Sequence[Annotation], files: Sequence[SourceFile], plan: PreparationPlan, quarantine: Quarantine
) -> list[Annotation]:
    """The annotations with every box under its "breed" or "species", where the plan's classes are that.

    A breed is told by the picture's name; a species by list.txt, else by the name, else by the annotation itself.
    Objects about which nothing tells are left out. Raises InvalidInputError where that is all of them.
    """
    if plan.classes not in (BREED, SPECIES):
        return list(annotations)
    listed = _listed(files)
    owners = _owners(listed)
    results, untold = [], ""
    for annotation in annotations:
        name = _picture(annotation, listed)
        breed, entry = _breed(name), listed.get(name)
        if breed and entry and owners[entry.class_id] != breed:
            reason = (
                f"{LIST_NAME} gives {name} the CLASS-ID {entry.class_id}, which is that of {owners[entry.class_id]}"
            )
            quarantine.remark(annotation.file.path, "class_id_mismatch", reason, item=annotation.item)
        told = breed if plan.classes == BREED else _species(breed, entry)
        boxes = []
        for box in annotation.boxes:
            if called := told or (_stated_species(box) if plan.classes == SPECIES else ""):
                boxes.append(replace(box, name=called))
                continue
            untold = untold or f"{name!r}, whose object is a {box.name!r}"
            reason = f"nothing tells the {plan.classes} of this {box.name!r}: {name!r} is not named like {EXAMPLE}"
            quarantine.leave_out(annotation.file.path, "unknown_class", reason, box=box.index, item=annotation.item)
        results.append(replace(annotation, boxes=tuple(boxes)))
    if untold and not any(annotation.boxes for annotation in results):
        raise InvalidInputError(
            f'the plan\'s classes are "{plan.classes}", but no picture is named like {EXAMPLE}; the first is {untold}'
        )
    return results


def _picture(annotation: Annotation, listed: Mapping[str, _Listed]) -> str:
    """The name, without suffix, of the picture that an annotation describes.

    An annotation that is a file of its own may be called like the picture where it names none, or some other file.
    """
    names = [stem(part) for part in path_parts(annotation.picture_name)[-1:]]
    if not annotation.item:
        names.append(annotation.file.stem)
    return next((name for name in names if name in listed or _breed(name)), names[0] if names else annotation.item)


def _breed(name: str) -> str:
    match = _PICTURE.fullmatch(name)
    return match[1] if match else ""


def _species(breed: str, entry: _Listed | None) -> str:
    if entry and entry.species in SPECIES_NAMES:
        return SPECIES_NAMES[entry.species]
    return ("cat" if breed[0].isupper() else "dog") if breed else ""


def _stated_species(box: StatedBox) -> str:
    name = box.name.strip().lower()
    return name if name in SPECIES_NAMES.values() else ""


def _listed(files: Sequence[SourceFile]) -> dict[str, _Listed]:
    """The lines of every list.txt, by the picture's name. Where lists disagree, the first by path holds."""
    listed: dict[str, _Listed] = {}
    for file in sorted(files, key=lambda file: file.path):
        if file.kind is Kind.LIST and file.name.lower() == LIST_NAME:
            # Lists that are not text are left out, by name, where the lists are read.
            for line in file.stored.read_text(encoding="utf-8-sig", errors="replace").splitlines():
                if match := _LIST_LINE.fullmatch(line.strip()):
                    listed.setdefault(match["name"], _Listed(match["class_id"], match["species"]))
    return listed


def _owners(listed: Mapping[str, _Listed]) -> dict[str, str]:
    """The breed that most pictures of a CLASS-ID are named after."""
    breeds: dict[str, Counter[str]] = defaultdict(Counter)
    for name, entry in sorted(listed.items()):
        if breed := _breed(name):
            breeds[entry.class_id][breed] += 1
    return {class_id: counts.most_common(1)[0][0] for class_id, counts in breeds.items()}
