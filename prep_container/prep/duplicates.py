"""Pictures that occur more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from prep.decoding import Decoded
from prep.model import Box, LabelledPicture
from prep.quarantine import Quarantine


def look_alikes(decoded: Mapping[int, Decoded]) -> set[int]:
    """One of each file's content among those whose pixels were found alike though the files are not."""
    return {number for files in _alike(decoded) if len(files) > 1 for number, *_ in files}


def told_apart(decoded: Mapping[int, Decoded], whole: Mapping[int, Decoded]) -> dict[int, Decoded]:
    """The same pictures, of which some have a digest of all their pixels in `whole`, as `look_alikes` has chosen them.

    Those take it that differ in it. One that is the same in every respect keeps its identity, whatever joins it.
    """
    told = dict(decoded)
    for files in _alike(decoded):
        digests = [whole.get(numbers[0], decoded[numbers[0]]).pixel_digest for numbers in files]
        if len(set(digests)) > 1:
            for numbers, digest in zip(files, digests, strict=True):
                told |= {number: replace(decoded[number], pixel_digest=digest) for number in numbers}
    return told


def _alike(decoded: Mapping[int, Decoded]) -> list[list[list[int]]]:
    """The numbers of the pictures whose pixels were found alike, of each those whose files are alike, in order."""
    alike: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number in sorted(decoded):
        alike[decoded[number].pixel_digest][decoded[number].payload_digest].append(number)
    return [list(files.values()) for files in alike.values()]


def with_one_identity(pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    """The same pictures, `pixel_digest` alike wherever two are the same picture, be it by way of others.

    Two are the same if their pixels are, or if what is written of them is: a picture and its enlargement may differ as
    found, and be equal once both are scaled down.
    """
    leaders: dict[str, str] = {}

    def leader(digest: str) -> str:
        while leaders.setdefault(digest, digest) != digest:
            leaders[digest] = leaders[leaders[digest]]
            digest = leaders[digest]
        return digest

    for picture in pictures:
        # The smaller leads, so that the identity depends neither on order nor on how many copies there are of each.
        low, high = sorted((leader(f"pixels {picture.pixel_digest}"), leader(f"written {picture.payload_digest}")))
        leaders[high] = low
    return [
        replace(picture, pixel_digest=leader(f"pixels {picture.pixel_digest}").removeprefix("pixels "))
        for picture in pictures
    ]


def without_copies(pictures: Sequence[LabelledPicture], quarantine: Quarantine) -> list[LabelledPicture]:
    """One of each set of pictures with the same pixels and the same boxes; the copies are left out by name.

    The same pixels with other boxes stay, with a remark: which boxes are right is not for a program to say. The split
    keeps them on one side.
    """
    alike: dict[str, dict[tuple[Box, ...], LabelledPicture]] = defaultdict(dict)
    for picture in sorted(pictures, key=_content_first):
        same_pixels = alike[picture.pixel_digest]
        boxes = tuple(sorted(picture.boxes))
        first = same_pixels.get(boxes)
        if first:
            reason = f"it has the pixels and the boxes of {first.source.path}"
            quarantine.leave_out(
                picture.source.path, "duplicate_image", reason, annotation=picture.annotation.path, deliberate=True
            )
            continue
        if same_pixels:
            other = next(iter(same_pixels.values())).source.path
            quarantine.remark(
                picture.source.path, "conflicting_boxes", f"it has the pixels of {other}, but other boxes"
            )
        same_pixels[boxes] = picture
    return [picture for same_pixels in alike.values() for picture in same_pixels.values()]


def _content_first(picture: LabelledPicture) -> tuple[str, str, str]:
    """The stem before the path: it is in the output's names, which must not depend on where the data set lay."""
    return picture.payload_digest, picture.source.stem, picture.source.path
