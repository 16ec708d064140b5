"""Which annotation describes which picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prep.lists import GivenLists, withheld
from prep.model import Annotation, Kind, SourceFile, stem
from prep.naming import AmbiguousNameError, Found, PictureIndex, fold, part_of_folders, path_parts
from prep.quarantine import Quarantine

NOT_AN_IMAGE = "its content is no picture in a known format"
ONE_FILE_PER_PICTURE = frozenset({"voc", "yolo", "sagemaker-json"})  # layouts whose files are called like the picture


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the annotation that describes it."""

    picture: SourceFile
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class _Claim:
    """The picture that an annotation names, and the one called like the annotation."""

    annotation: Annotation
    named: Found | None
    own: Found | None

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
    index = PictureIndex(pictures)
    claims = []
    for annotation in sorted(annotations, key=_place):
        try:
            claims.append(_claim(annotation, index, dataset_uri))
        except AmbiguousNameError as error:
            quarantine.leave_out(annotation.file.path, "ambiguous_image", str(error), item=annotation.item)
    pairs = _paired(claims, dataset_uri, quarantine)
    _leave_out_single_pictures(pictures, pairs, index, listed, quarantine)
    _leave_out_listed_names(annotations, listed, quarantine)
    return [pairs[path] for path in sorted(pairs)]


def _place(annotation: Annotation) -> tuple[str, bool, int, str]:
    """Order by file and, within it, by the number or name of the entry."""
    numbered = annotation.item.isdecimal()
    return annotation.file.path, not numbered, int(annotation.item) if numbered else 0, annotation.item


def _claim(annotation: Annotation, index: PictureIndex, dataset_uri: str) -> _Claim:
    own = None
    if annotation.layout in ONE_FILE_PER_PICTURE:
        own = index.find(_without_suffix(annotation.file.path), annotation.file, annotation.part)
    return _Claim(annotation, _named(annotation, index, dataset_uri), own)


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


def _paired(claims: Sequence[_Claim], dataset_uri: str, quarantine: Quarantine) -> dict[str, Pair]:
    """Let the claims choose in their order; the pairs by the path of the picture."""
    disputed = Counter(claim.named.picture.path for claim in claims if claim.named and not claim.agrees)
    agreed = {claim.own.picture.path for claim in claims if claim.own and claim.agrees}
    pairs: dict[str, Pair] = {}
    firsts: dict[str, _Claim] = {}
    for claim in sorted(claims, key=lambda claim: claim.order):
        annotation, choice = claim.annotation, claim.named or claim.own
        if claim.named and claim.own and not claim.agrees:
            path = claim.named.picture.path
            choice = claim.own if path in agreed or disputed[path] > 1 else claim.named
        first = firsts.get(choice.picture.path) if choice else None
        if choice is None or (first and _means_another(claim, choice, first)):
            code, reason = _no_picture(annotation, dataset_uri)
            quarantine.leave_out(annotation.file.path, code, reason, item=annotation.item)
        elif first:
            reason = f"{_described(first.annotation)} already describes {choice.picture.path}"
            quarantine.leave_out(annotation.file.path, "duplicate_annotation", reason, item=annotation.item)
        else:
            firsts[choice.picture.path] = claim
            pairs[choice.picture.path] = Pair(choice.picture, annotation)
            _remark_on_mismatch(annotation, choice.picture, quarantine)
    return pairs


def _means_another(claim: _Claim, choice: Found, first: _Claim) -> bool:
    """Whether an annotation has only the name in common with a picture that another one means by its folders."""
    if choice is not claim.named or not choice.contradicted or first.named is None:
        return False
    return not first.named.contradicted or first.named.folders > choice.folders


def _no_picture(annotation: Annotation, dataset_uri: str) -> tuple[str, str]:
    """The code and reason for an annotation whose picture is not there."""
    stated = annotation.picture_name
    if stated.startswith("s3://") and not _below(stated, dataset_uri):
        bucket = (path_parts(stated)[1:] or [""])[0]
        return "outside_reference", (
            f"its picture {stated!r} is not among the inputs: list the bucket {bucket!r} in ExtraDataBuckets, "
            "or put the picture in the data set"
        )
    what = stated or annotation.file.stem
    alike = ", nor one called like the annotation" if annotation.layout in ONE_FILE_PER_PICTURE and stated else ""
    return "annotation_without_image", f"there is no picture {what!r}{alike}"


def _described(annotation: Annotation) -> str:
    return f"{annotation.file.path}, entry {annotation.item}" if annotation.item else annotation.file.path


def _remark_on_mismatch(annotation: Annotation, picture: SourceFile, quarantine: Quarantine) -> None:
    if not annotation.picture_name or annotation.layout not in ONE_FILE_PER_PICTURE:
        return
    name = (path_parts(annotation.picture_name) or [""])[-1]
    if fold(stem(name)) != fold(annotation.file.stem):
        reason = f"it names {annotation.picture_name!r}; taken as describing {picture.path}"
        quarantine.remark(annotation.file.path, "filename_mismatch", reason, item=annotation.item)


def _leave_out_single_pictures(
    pictures: Sequence[SourceFile],
    pairs: Mapping[str, Pair],
    index: PictureIndex,
    listed: GivenLists,
    quarantine: Quarantine,
) -> None:
    refused = _refused(index, quarantine)
    test_annotated = any(_in_test_folder(path) for path in pairs)
    for picture in pictures:
        if picture.path in pairs:
            continue
        naming = listed.naming(picture.path)
        if not picture.image_format:
            quarantine.leave_out(picture.path, "not_an_image", NOT_AN_IMAGE)
        elif picture.path in refused:
            reason = f"{refused[picture.path]}, which should describe it, cannot be used"
            quarantine.leave_out(picture.path, "no_annotation", reason)
        elif naming:
            reason = f"named in {', '.join(naming)}, but no annotation describes it"
            quarantine.leave_out(picture.path, "listed_without_annotation", reason, deliberate=withheld(naming))
        elif not test_annotated and _in_test_folder(picture.path):
            reason = "no annotation describes it, nor any other picture of the data set's test folder"
            quarantine.leave_out(picture.path, "no_annotation", reason, deliberate=True)
        else:
            quarantine.leave_out(picture.path, "no_annotation", "no annotation describes it")


def _in_test_folder(path: str) -> bool:
    return part_of_folders(path.split("/")[:-1]) == "test"


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


def _leave_out_listed_names(annotations: Sequence[Annotation], listed: GivenLists, quarantine: Quarantine) -> None:
    """Names on lists that have neither a picture (which then has its own entry) nor an annotation."""
    described = {fold(stem((path_parts(name) or [""])[-1])) for a in annotations for name in (a.picture_name,) if name}
    described.update(fold(a.file.stem) for a in annotations if a.layout in ONE_FILE_PER_PICTURE)
    for name, lists in listed.missing.items():
        last = (path_parts(name) or [""])[-1]
        if fold(last) in described or fold(stem(last)) in described:
            continue
        reason = f"named in {', '.join(lists)}, but there is neither a picture nor an annotation"
        quarantine.leave_out(name, "listed_without_annotation", reason, deliberate=withheld(lists))
