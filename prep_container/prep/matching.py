"""Which annotation describes which picture."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prep.lists import ListedNames
from prep.model import Annotation, SourceFile, stem
from prep.quarantine import Quarantine

NOT_AN_IMAGE = "its content is no picture in a known format"


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the annotation that describes it."""

    picture: SourceFile
    annotation: Annotation


class _AmbiguousError(Exception):
    """Several pictures with different content fit equally well."""


def match(
    annotations: Sequence[Annotation], pictures: Sequence[SourceFile], listed: ListedNames, quarantine: Quarantine
) -> list[Pair]:
    """Pair annotations with pictures, each at most once, ordered by the picture's path.

    The picture an annotation names (`<filename>`) comes first, then the one called like the annotation's own file.
    Where the two disagree, a picture that another annotation agrees on, or that several name, is left to its own.
    Everything that stays single is left out by name: annotations, pictures, and names in `listed`.
    """
    index = _Index(pictures)
    claims = []
    for annotation in sorted(annotations, key=lambda a: a.file.path):
        try:
            claims.append((annotation, *index.claims(annotation)))
        except _AmbiguousError as error:
            quarantine.leave_out(annotation.file.path, "ambiguous_image", str(error))
    agreed = {named.path for _, named, own in claims if named and named is own}
    disputed = Counter(named.path for _, named, own in claims if named and named is not own)
    pairs: dict[str, Pair] = {}
    # Annotations whose two names agree choose first; the others take what is left.
    for annotation, named, own in sorted(claims, key=lambda claim: claim[1] is None or claim[1] is not claim[2]):
        contested = named is not None and named is not own and (named.path in agreed or disputed[named.path] > 1)
        picture = own if named is None or (contested and own is not None) else named
        if picture is None:
            what = annotation.picture_name or annotation.file.stem
            reason = f"there is no picture {what!r}, nor one called like the annotation"
            quarantine.leave_out(annotation.file.path, "annotation_without_image", reason)
        elif picture.path in pairs:
            reason = f"{pairs[picture.path].annotation.file.path} already describes {picture.path}"
            quarantine.leave_out(annotation.file.path, "duplicate_annotation", reason)
        else:
            pairs[picture.path] = Pair(picture, annotation)
            if annotation.picture_name and _fold(stem(_base(annotation.picture_name))) != _fold(annotation.file.stem):
                reason = f"it names {annotation.picture_name!r}; taken as describing {picture.path}"
                quarantine.remark(annotation.file.path, "filename_mismatch", reason)
    _leave_out_single_pictures(pictures, pairs, listed, quarantine)
    _leave_out_listed_names(annotations, pictures, listed, quarantine)
    return [pairs[path] for path in sorted(pairs)]


def _leave_out_single_pictures(
    pictures: Sequence[SourceFile], pairs: Mapping[str, Pair], listed: ListedNames, quarantine: Quarantine
) -> None:
    refused = {
        stem(entry.file.rpartition("/")[2]): entry.file
        for entry in quarantine.entries
        if entry.code == "bad_annotation" and entry.box is None
    }
    for picture in pictures:
        if picture.path in pairs:
            continue
        naming = listed.naming(picture.stem)
        if not picture.image_format:
            quarantine.leave_out(picture.path, "not_an_image", NOT_AN_IMAGE)
        elif picture.stem in refused:
            reason = f"{refused[picture.stem]}, which should describe it, cannot be used"
            quarantine.leave_out(picture.path, "no_annotation", reason)
        elif naming:
            reason = f"named in {', '.join(naming)}, but no annotation describes it"
            withheld = listed.withheld(picture.stem)
            quarantine.leave_out(picture.path, "listed_without_annotation", reason, deliberate=withheld)
        else:
            quarantine.leave_out(picture.path, "no_annotation", "no annotation describes it")


def _leave_out_listed_names(
    annotations: Sequence[Annotation], pictures: Sequence[SourceFile], listed: ListedNames, quarantine: Quarantine
) -> None:
    """Names on lists that have neither a picture (which then has its own entry) nor an annotation."""
    present = {picture.stem for picture in pictures} | {annotation.file.stem for annotation in annotations}
    for name in sorted(listed.names - present):
        reason = f"named in {', '.join(listed.naming(name))}, but there is neither a picture nor an annotation"
        quarantine.leave_out(name, "listed_without_annotation", reason, deliberate=listed.withheld(name))


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _base(path: str) -> str:
    """The last part of a path, which may come from a system that separates with backslashes."""
    return path.replace("\\", "/").rpartition("/")[2]


class _Index:
    """Finds pictures by name: case and Unicode form may differ, the nearest folder wins."""

    def __init__(self, pictures: Sequence[SourceFile]) -> None:
        self._by_name: dict[str, list[SourceFile]] = defaultdict(list)
        for picture in pictures:
            for name in {_fold(picture.name), _fold(picture.stem)}:
                self._by_name[name].append(picture)

    def claims(self, annotation: Annotation) -> tuple[SourceFile | None, SourceFile | None]:
        """The picture that the annotation names, and the one named like the annotation."""
        own = self._nearest(annotation.file.stem, annotation.file)
        named = _base(annotation.picture_name)
        if not named:
            return None, own
        return self._nearest(named, annotation.file) or self._nearest(stem(named), annotation.file), own

    def _nearest(self, name: str, annotation: SourceFile) -> SourceFile | None:
        """The best picture of that name or stem. Raises _AmbiguousError where several are as good and differ."""
        ranked = defaultdict(list)
        for picture in self._by_name.get(_fold(name), ()):
            ranked[_nearness(picture, name, annotation)].append(picture)
        if not ranked:
            return None
        best = ranked[max(ranked)]
        if len({_content(picture) for picture in best} if len(best) > 1 else best) > 1:
            raise _AmbiguousError(f"{best[0].path} and {best[1].path} fit equally well and are not the same picture")
        return best[0]


def _nearness(picture: SourceFile, name: str, annotation: SourceFile) -> tuple[bool, bool, int, int, int]:
    """How well a candidate fits: spelt so, same archive, leading folders shared, folders shared, few others."""
    ours, theirs = picture.path.split("/")[:-1], annotation.path.split("/")[:-1]
    leading = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )
    exact = name in (picture.name, picture.stem)
    shared = set(ours) & set(theirs)
    return exact, picture.archive == annotation.archive, leading, len(shared), len(shared) - len(ours)


def _content(picture: SourceFile) -> bytes:
    with picture.stored.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
