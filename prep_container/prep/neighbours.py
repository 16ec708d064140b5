"""Which folders of annotations and of pictures go together, and which have only names in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

from prep.model import Annotation, SourceFile, stem
from prep.naming import FolderCache, Folders, Found, fold, path_parts

Place = tuple[str, Folders]  # an archive that had to be told apart, or "", and the folders


class Neighbours:
    """Tells a picture that was moved from the namesake of one that is missing.

    Where `a/` and `b/` each hold pictures 1, 2 and 3 with their annotations, `b/3.xml` does not mean `a/3.jpg`, even if
    that is the only picture of the name. Two things together show this: one of the two places goes with a nearer one,
    and the names of the nearer one occur here again, so that a name alone says nothing. Where names are not used twice
    a picture may lie anywhere.
    """

    def __init__(self, claims: Iterable[tuple[Annotation, Found]], pictures: Sequence[SourceFile]) -> None:
        self._folders = FolderCache()
        self._told_apart = {p.archive for p in pictures if p.archive and p.path.startswith(f"{p.archive}/")}
        self._pictures: dict[Place, set[str]] = defaultdict(set)
        for picture in pictures:
            self._pictures[self._place(picture)].add(fold(picture.stem))
        self._annotations: dict[Place, set[str]] = defaultdict(set)
        self._near_pictures: dict[Place, _Nearest] = defaultdict(_Nearest)
        self._near_annotations: dict[Place, _Nearest] = defaultdict(_Nearest)
        for annotation, found in claims:
            here, there, name = self._place(annotation.file), self._place(found.picture), _name(annotation)
            nearness = _nearness(here, there)
            self._annotations[here].add(name)
            self._near_pictures[here].take(nearness, fold(found.picture.stem))
            self._near_annotations[there].take(nearness, name)

    def foreign(self, annotation: Annotation, found: Found, *, by_folders: bool) -> bool:
        """Whether an annotation has only the name in common with a picture; not where it states the folders too."""
        if by_folders or found.picture.path.startswith("s3://"):
            return False
        here, there = self._place(annotation.file), self._place(found.picture)
        nearness, own = _nearness(here, there), {_name(annotation), fold(found.picture.stem)}
        return self._near_pictures[here].elsewhere(nearness, self._pictures[there], own) or self._near_annotations[
            there
        ].elsewhere(nearness, self._annotations[here], own)

    def _place(self, file: SourceFile) -> Place:
        return file.archive if file.archive in self._told_apart else "", self._folders.of(file)


class _Nearest:
    """The names at the nearest of the places that a place goes with."""

    def __init__(self) -> None:
        self._nearness = -1
        self._names: set[str] = set()

    def take(self, nearness: int, name: str) -> None:
        if nearness > self._nearness:
            self._nearness, self._names = nearness, set()
        if nearness == self._nearness:
            self._names.add(name)

    def elsewhere(self, nearness: int, names: set[str], own: set[str]) -> bool:
        """Whether there is a nearer place whose names are among `names` as well, the `own` ones aside."""
        if nearness >= self._nearness:
            return False
        few, many = sorted((self._names, names), key=len)
        shared = islice((name for name in few if name in many), len(own) + 1)
        return not own.issuperset(shared)


def _nearness(one: Place, other: Place) -> int:
    """How much two places have in common: the names of folders, wherever they stand, and being the same place."""
    return len(set(one[1]) & set(other[1])) + (one[0] == other[0]) + (one == other)


def _name(annotation: Annotation) -> str:
    """The name that an annotation has for its picture, without its folders and suffix."""
    stated = path_parts(annotation.picture_name)
    return fold(stem(stated[-1])) if stated else fold(annotation.file.stem)
