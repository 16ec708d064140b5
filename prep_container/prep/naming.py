"""Pictures by the names that annotations and lists state for them."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prep.kinds import SUFFIX_FORMATS, archive_stem, suffix
from prep.model import SourceFile, stem

Folders = tuple[str, ...]
MANY = 16  # namesakes from which looking at each one would be slow
DEEPEST = 32  # folders above a picture that are told apart; of more, those in the middle are passed over
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
    "trainval": "trainval",
}
# Formats that pictures are converted from, without their annotations hearing of it.
_CONVERTED = frozenset({
    "ppm", "pgm", "pbm", "pnm", "pam", "heic", "heif", "hif", "avif", "jp2", "j2k", "jpx", "jxl", "psd", "ico", "exr",
    "tga", "dng", "raw", "dcm",
})  # fmt: skip
_YEAR = re.compile(r"[-_]?(19|20)\d\d$")
# As SageMaker's channels are called: `train` holds the pictures, `train_annotation` what is said about them. Others
# call the folders `training_set` and `test_set`.
_CONTENT = re.compile(r"[-_ ](annotations?|labels|images|set|data)$")


class AmbiguousNameError(Exception):
    """Several pictures with different content fit a name equally well."""


@dataclass(frozen=True, slots=True)
class Found:
    """The picture that a stated name fits best.

    `folders` counts the stated folders that are the picture's, from the name backwards; `near` the folders, from the
    first on, that the picture shares with the file that states the name. `contradicted` is True where the next of the
    stated folders differ: the statement is about another place, and only the name is the same.
    """

    picture: SourceFile
    folders: int
    near: int
    contradicted: bool


def fold(name: str) -> str:
    """The name without the differences that file systems and packers make: case and Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


def path_parts(path: str) -> list[str]:
    r"""The folders and the name of a path from any system: `.\a\b.jpg`, `./a/b.jpg` and `/a/b.jpg` -> [a, b.jpg]."""
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]


def part_called(word: str) -> str:
    """The part that a folder or list of this name stands for (`val2017`, `val_annotation` -> validation), or ""."""
    return _PARTS.get(_YEAR.sub("", _CONTENT.sub("", word.lower())), "")


def part_of_folders(folders: Iterable[str]) -> str:
    """The part that a picture's folders put it on; the innermost that says so decides."""
    return next((part for part in map(part_called, reversed(list(folders))) if part), "")


def part_of_place(path: str, archive: str = "") -> str:
    """The part that a picture's folders put it on, else the name of its archive (`train.zip`), or ""."""
    return part_of_folders(path.split("/")[:-1]) or part_called(archive_stem(archive))


class PictureIndex:
    """Finds the picture that a name or path means. Takes memory and time in proportion to the pictures' number.

    Case, Unicode form and suffix may differ. Of several pictures of the name, the one whose path has most of the
    stated folders in common, from the end, is meant; then the one nearest to the file that states it. A picture of
    another part (`val/1.jpg` for `train/1.jpg`) is never meant.
    """

    def __init__(self, pictures: Iterable[SourceFile]) -> None:
        self._folders = FolderCache()
        self._by_stem: dict[str, list[SourceFile]] = defaultdict(list)
        self._by_uri: dict[str, SourceFile] = {}
        self._namesakes: dict[str, _Namesakes] = {}
        self._contents: dict[str, bytes] = {}
        self._asked: dict[tuple[object, ...], SourceFile] = {}
        for picture in sorted(pictures, key=lambda picture: picture.path):
            if picture.path.startswith("s3://"):
                self._by_uri[unicodedata.normalize("NFC", picture.path)] = picture
            else:
                for name in {picture.stem} if suffix(picture.name) in SUFFIX_FORMATS else {picture.stem, picture.name}:
                    self._by_stem[fold(name)].append(picture)

    def at_uri(self, uri: str) -> SourceFile | None:
        """The picture fetched from exactly this place outside the data set."""
        return self._by_uri.get(unicodedata.normalize("NFC", uri))

    def find(self, stated: str, asker: SourceFile, part: str = "") -> Found | None:
        """The picture that `asker` (an annotation, a list) means by a name or path.

        `part` is the part that the asker speaks of: a picture in a folder called so is preferred to one that is as
        near. Raises AmbiguousNameError where several pictures are as good and not the same.
        """
        *above, name = path_parts(stated) or [""]
        folders, near = tuple(map(fold, above)), self._folders.of(asker)
        for key in _keys(name):
            if namesakes := self._by_stem.get(key):
                return self._found(self._best(key, namesakes, folders, near, name, asker, part), folders, near)
        return None

    def _best(
        self,
        key: str,
        namesakes: Sequence[SourceFile],
        stated: Folders,
        near: Folders,
        name: str,
        asker: SourceFile,
        part: str,
    ) -> SourceFile:
        if len(namesakes) == 1:
            return namesakes[0]
        if len(namesakes) <= MANY:
            return self._nearest(namesakes, stated, near, name, asker, part)
        # One file with many entries asks again and again from the same place.
        question = (stated, near, name, asker.archive, part)
        if question not in self._asked:
            if key not in self._namesakes:
                self._namesakes[key] = _Namesakes(namesakes, self._folders)
            closest = self._namesakes[key].closest(stated, near)
            self._asked[question] = self._nearest(closest, stated, near, name, asker, part)
        return self._asked[question]

    def _found(self, picture: SourceFile, stated: Folders, near: Folders) -> Found | None:
        folders = self._folders.of(picture)
        same, close = _alike(folders[::-1], stated[::-1]), _alike(folders, near)
        contradicted = same < min(len(folders), len(stated))
        if contradicted and _parts_differ(folders[-same - 1 : -same or None], stated[-same - 1 : -same or None]):
            return None
        if (not stated or stated == near) and _parts_differ(folders[close:], near[close:]):
            return None
        return Found(picture, same, close, contradicted)

    def _nearest(
        self,
        namesakes: Sequence[SourceFile],
        stated: Folders,
        near: Folders,
        name: str,
        asker: SourceFile,
        part: str,
    ) -> SourceFile:
        part = part or part_of_folders(near)
        best: list[SourceFile] = []
        highest: tuple[int, ...] = ()
        for picture in namesakes:
            folders = self._folders.of(picture)
            shared = len(set(folders) & set(near))
            rank = (
                _alike(folders[::-1], stated[::-1]),
                _alike(folders, near),
                bool(part) and part_of_folders(folders) == part,
                name in (picture.name, picture.stem),
                fold(picture.name) == fold(name),
                picture.stem == stem(name),
                picture.archive == asker.archive,
                shared,
                shared - len(folders),
            )
            if rank > highest:
                best, highest = [picture], rank
            elif rank == highest:
                best.append(picture)
        for other in best[1:]:
            if self._content(other) != self._content(best[0]):
                raise AmbiguousNameError(
                    f"{best[0].path} and {other.path} fit equally well and are not the same picture"
                )
        return best[0]

    def _content(self, picture: SourceFile) -> bytes:
        if picture.path not in self._contents:
            with picture.stored.open("rb") as stream:
                self._contents[picture.path] = hashlib.file_digest(stream, "sha256").digest()
        return self._contents[picture.path]


def _parts_differ(one: Folders, other: Folders) -> bool:
    """Whether two places are called like different parts."""
    ours, theirs = part_of_folders(one), part_of_folders(other)
    return bool(ours and theirs) and ours != theirs


def _keys(name: str) -> list[str]:
    """What to look a name up by: `1.png` may have become `1.jpg`, but `cat.1` is another picture than `cat`."""
    if suffix(name) in SUFFIX_FORMATS:
        return [fold(stem(name)), fold(name)]
    return [fold(name), fold(stem(name))] if suffix(name) in _CONVERTED else [fold(name)]


class FolderCache:
    """The folded folders of files, one tuple for all the files of a folder."""

    def __init__(self) -> None:
        self._known: dict[str, Folders] = {}

    def of(self, file: SourceFile) -> Folders:
        folder = file.unpacked_path.rpartition("/")[0]
        if folder not in self._known:
            parts = path_parts(folder)
            if len(parts) > DEEPEST:
                parts = parts[: DEEPEST // 2] + parts[-DEEPEST // 2 :]
            self._known[folder] = tuple(sys.intern(fold(part)) for part in parts)
        return self._known[folder]


class _Namesakes:
    """Many pictures of one name, in the order of their folders read backwards: the closest are found by bisection."""

    def __init__(self, pictures: Sequence[SourceFile], cache: FolderCache) -> None:
        self._cache = cache
        self._pictures = sorted(pictures, key=lambda picture: (cache.of(picture)[::-1], picture.path))
        self._endings = [cache.of(picture)[::-1] for picture in self._pictures]
        self._onwards: dict[tuple[int, int], _Onwards] = {}

    def closest(self, stated: Folders, near: Folders) -> Sequence[SourceFile]:
        """Those that share most of the stated folders from the end and, of these, most of `near` from the start.

        Where these are still many, those that have the rarest of the folders in `near`, if any.
        """
        start, end = _closest(self._endings, stated[::-1])
        if (start, end) not in self._onwards:
            self._onwards[start, end] = _Onwards(self._pictures[start:end], self._cache)
        return self._onwards[start, end].closest(near)


class _Onwards:
    """Pictures of one name that fit a stated path equally well, in the order of their folders."""

    def __init__(self, pictures: Iterable[SourceFile], cache: FolderCache) -> None:
        self._pictures = sorted(pictures, key=lambda picture: (cache.of(picture), picture.path))
        self._beginnings = [cache.of(picture) for picture in self._pictures]
        self._having: dict[str, list[int]] = defaultdict(list)
        for number, folders in enumerate(self._beginnings):
            for folder in set(folders):
                self._having[folder].append(number)

    def closest(self, near: Folders) -> Sequence[SourceFile]:
        start, end = _closest(self._beginnings, near)
        if end - start > MANY:
            rarest = min((self._having[folder] for folder in near if folder in self._having), key=len, default=[])
            if fitting := [self._pictures[number] for number in rarest if start <= number < end]:
                return fitting
        return self._pictures[start:end]


def _closest(ordered: Sequence[Folders], wanted: Folders) -> tuple[int, int]:
    """The stretch of an ordered sequence that shares the longest beginning with `wanted`."""
    at = bisect_left(ordered, wanted)
    length = max(_alike(neighbour, wanted) for neighbour in ordered[max(at - 1, 0) : at + 1])
    beginning = wanted[:length]
    return (
        bisect_left(ordered, beginning, key=lambda folders: folders[:length]),
        bisect_right(ordered, beginning, key=lambda folders: folders[:length]),
    )


def _alike(one: Folders, other: Folders) -> int:
    """How many of the first folders are the same."""
    count = 0
    for ours, theirs in zip(one, other, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
