"""Which annotation describes which picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prep.lists import GivenLists
from prep.merging import leave_out_duplicate, mergeable, merged
from prep.model import Annotation, Kind, SourceFile, stem
from prep.naming import AmbiguousNameError, Found, PictureIndex, fold, path_parts
from prep.neighbours import Neighbours
from prep.quarantine import Quarantine
from prep.single_pictures import leave_out_listed_names, leave_out_single_pictures
from prep.unsupported_images import UnsupportedImages
from prep.versions import Versions

ONE_FILE_PER_PICTURE = frozenset({"voc", "yolo", "sagemaker-json"})  # layouts whose files are called like the picture


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the annotation that describes it."""

    picture: SourceFile
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class _Claim:
    """The picture that an annotation names, and the one called like the annotation.

    `foreign` is the picture that neither of them is, as it has only the name in common with the annotation.
    """

    annotation: Annotation
    named: Found | None
    own: Found | None
    foreign: Found | None = None

    @property
    def agrees(self) -> bool:
        return self.named is not None and self.own is not None and self.named.picture is self.own.picture

    @property
    def order(self) -> tuple[bool, bool, int, int]:
        """Annotations whose two names agree choose first; then the nearer comes before the farther."""
        best = self.named or self.own
        near = self.own or self.named
        return (
            not self.agrees,
            self.named is not None and self.named.contradicted,
            -best.folders if best else 0,
            -near.near if near else 0,
        )


def match(
    annotations: Sequence[Annotation],
    pictures: Sequence[SourceFile],
    listed: GivenLists,
    quarantine: Quarantine,
    *,
    dataset_uri: str = "",
) -> list[Pair]:
    """Pair annotations with pictures, each at most once, ordered by the picture's path.

    The picture an annotation names comes first, then the one called like the annotation's own file (in the layouts
    with a file for each picture). Where the two disagree, a picture that another annotation agrees on, or that several
    name, is left to its own. `dataset_uri` is where the data set lies in S3: a URI below it names a picture of its.
    Everything that stays single is left out by name: annotations, pictures, and names in `listed`.
    """
    index, unsupported = PictureIndex(pictures), UnsupportedImages(quarantine)
    claims = []
    for annotation in sorted(annotations, key=_place):
        try:
            claims.append(_claim(annotation, index, dataset_uri))
        except AmbiguousNameError as error:
            quarantine.leave_out(annotation.file.path, "ambiguous_image", str(error), item=annotation.item)
    pairs, unsettled = _paired(_without_foreign(claims, pictures), unsupported, dataset_uri, quarantine)
    leave_out_single_pictures(pictures, pairs, _refused(index, quarantine) | unsettled, listed, quarantine)
    leave_out_listed_names(_described_names(annotations) | unsupported.names, listed, quarantine)
    return [pairs[path] for path in sorted(pairs)]


def _place(annotation: Annotation) -> tuple[str, bool, int, str]:
    """Order by file and, within it, by the number or name of the entry."""
    numbered = annotation.item.isdecimal()
    return annotation.file.path, not numbered, int(annotation.item) if numbered else 0, annotation.item


def _claim(annotation: Annotation, index: PictureIndex, dataset_uri: str) -> _Claim:
    named, own = _named(annotation, index, dataset_uri), None
    if annotation.layout in ONE_FILE_PER_PICTURE:
        try:
            own = index.find(_without_suffix(annotation.file.path), annotation.file, annotation.part)
        except AmbiguousNameError:
            if named is None:  # else `1.xml` says itself whether it means 1.jpg or 1.png
                raise
    return _Claim(annotation, named, own)


def _named(annotation: Annotation, index: PictureIndex, dataset_uri: str) -> Found | None:
    stated = annotation.picture_name
    if not stated:
        return None
    if fetched := index.at_uri(stated):
        return Found(fetched, len(path_parts(stated)) - 1, near=0, contradicted=False)
    below = _below(stated, dataset_uri)
    found = index.find(below or stated, annotation.file, annotation.part)
    # A URI below the data set's says exactly where the picture is; only the folder of an archive may be missing.
    return None if below and found and found.contradicted else found


def _below(stated: str, dataset_uri: str) -> str:
    """The path below the data set's URI, or "" where the picture is stated in another way."""
    prefix = dataset_uri.rstrip("/") + "/"
    return stated.removeprefix(prefix) if dataset_uri and stated.startswith(prefix) else ""


def _without_suffix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{stem(name)}"


def _without_foreign(claims: Sequence[_Claim], pictures: Sequence[SourceFile]) -> list[_Claim]:
    """The claims without pictures that have only the name in common with the annotation."""
    neighbours = Neighbours(((c.annotation, best) for c in claims if (best := c.named or c.own)), pictures)
    checked = []
    for claim in claims:
        named, own, foreign = claim.named, claim.own, None
        stated = bool(named and named.folders and not named.contradicted)
        if named and neighbours.foreign(claim.annotation, named, by_folders=stated):
            foreign, named = named, None
        if own and not (stated and claim.agrees) and neighbours.foreign(claim.annotation, own, by_folders=False):
            foreign, own = foreign or own, None
        checked.append(_Claim(claim.annotation, named, own, None if named or own else foreign))
    return checked


def _paired(
    claims: Sequence[_Claim], unsupported: UnsupportedImages, dataset_uri: str, quarantine: Quarantine
) -> tuple[dict[str, Pair], dict[str, str]]:
    """Let the claims choose in their order; the pairs by the path of the picture.

    Also the pictures that get none because their annotation is there in several versions, with its path.
    """
    disputed = Counter(claim.named.picture.path for claim in claims if claim.named and not claim.agrees)
    agreed = {claim.own.picture.path for claim in claims if claim.own and claim.agrees}
    taken: dict[str, list[Annotation]] = defaultdict(list)
    firsts: dict[str, _Claim] = {}
    chosen: dict[str, SourceFile] = {}
    parts: dict[str, frozenset[str]] = defaultdict(frozenset)  # that annotations left out as duplicates state
    versions = Versions()
    for claim in sorted(claims, key=lambda claim: claim.order):
        annotation, choice = claim.annotation, claim.named or claim.own
        if claim.named and claim.own and not claim.agrees:
            path = claim.named.picture.path
            choice = claim.own if path in agreed or disputed[path] > 1 else claim.named
        meant = choice or claim.foreign
        first = firsts.get(meant.picture.path) if meant else None
        if meant is None or (first and _means_another(claim, meant, first)) or not (first or choice):
            code, reason = _no_picture(annotation, claim.foreign, unsupported, dataset_uri)
            quarantine.leave_out(annotation.file.path, code, reason, item=annotation.item)
        elif first is None:
            firsts[meant.picture.path] = claim
            chosen[meant.picture.path] = meant.picture
            taken[meant.picture.path] = [annotation]
            _remark_on_mismatch(annotation, meant.picture, quarantine)
        elif choice and mergeable(first.annotation, annotation):
            taken[meant.picture.path].append(annotation)
        elif choice and claim.order == first.order and versions.take(first.annotation, annotation, meant.picture):
            continue
        else:
            leave_out_duplicate(annotation, first.annotation, meant.picture, quarantine)
            if choice:  # a picture that is validated on must not be trained on because a training file describes it too
                parts[meant.picture.path] |= annotation.parts
    unsettled = versions.settle(taken, chosen, quarantine)
    pairs = {}
    for path, entries in taken.items():
        whole = merged(entries, chosen[path], quarantine)
        pairs[path] = Pair(chosen[path], replace(whole, other_parts=whole.other_parts | parts[path]))
    return pairs, unsettled


def _means_another(claim: _Claim, choice: Found, first: _Claim) -> bool:
    """Whether an annotation has only the name in common with a picture that another one means by its folders."""
    if choice is not claim.named or not choice.contradicted or first.named is None:
        return False
    return not first.named.contradicted or first.named.folders > choice.folders


def _no_picture(
    annotation: Annotation, foreign: Found | None, unsupported: UnsupportedImages, dataset_uri: str
) -> tuple[str, str]:
    """The code and reason for an annotation whose picture is not there, or there but of a kind that is not read."""
    there = _claim(annotation, unsupported, dataset_uri)
    if reason := unsupported.reason(there.named, there.own):
        return "annotation_of_unsupported_image", reason
    stated = annotation.picture_name
    if stated.startswith("s3://") and not _below(stated, dataset_uri):
        bucket = (path_parts(stated)[1:] or [""])[0]
        return "outside_reference", (
            f"its picture {stated!r} is not among the inputs: list the bucket {bucket!r} in ExtraDataBuckets, "
            "or put the picture in the data set"
        )
    what = stated or annotation.file.stem
    if foreign:
        return "annotation_without_image", (
            f"there is no picture {what!r} that goes with it: {foreign.picture.path} is only called so, "
            "and the names of that folder occur in several"
        )
    alike = ", nor one called like the annotation" if annotation.layout in ONE_FILE_PER_PICTURE and stated else ""
    return "annotation_without_image", f"there is no picture {what!r}{alike}"


def _remark_on_mismatch(annotation: Annotation, picture: SourceFile, quarantine: Quarantine) -> None:
    if not annotation.picture_name or annotation.layout not in ONE_FILE_PER_PICTURE:
        return
    name = (path_parts(annotation.picture_name) or [""])[-1]
    if fold(stem(name)) != fold(annotation.file.stem):
        reason = f"it names {annotation.picture_name!r}; taken as describing {picture.path}"
        quarantine.remark(annotation.file.path, "filename_mismatch", reason, item=annotation.item)


def _refused(index: PictureIndex, quarantine: Quarantine) -> dict[str, str]:
    """The annotations that cannot be read as a whole, by the path of the picture called like them."""
    refused: dict[str, str] = {}
    for entry in quarantine.entries:
        if entry.code == "bad_annotation" and entry.box is None and not entry.item:
            file = SourceFile(entry.file, Kind.ANNOTATION, Path(entry.file))
            try:
                found = index.find(_without_suffix(entry.file), file)
            except AmbiguousNameError:
                continue  # said of none of them: each is left out as without an annotation, which is true as well
            if found:
                refused[found.picture.path] = entry.file
    return refused


def _described_names(annotations: Sequence[Annotation]) -> set[str]:
    """What annotations are about: the names they state, and their own where these are the pictures' too."""
    described = {fold(stem((path_parts(name) or [""])[-1])) for a in annotations for name in (a.picture_name,) if name}
    described.update(fold(a.file.stem) for a in annotations if a.layout in ONE_FILE_PER_PICTURE)
    return described
