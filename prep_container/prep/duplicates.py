"""Pictures that occur more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from prep.decoding import Decoded
from prep.model import Box, LabelledPicture
from prep.pixels import Identity, sampled_alike
from prep.quarantine import Quarantine


def perhaps_in_colour(decoded: Mapping[int, Decoded]) -> set[int]:
    """The numbers of the pictures known by their luma that may be the same as one that is known by its colours."""
    sizes: dict[tuple[int, int], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for number, one in decoded.items():
        sizes[one.width, one.height][one.identity.in_colour].append(number)
    chosen = set[int]()
    for by_luma, by_colours in sizes.values():
        if by_luma and by_colours:
            lumas = np.array([np.frombuffer(decoded[number].identity.samples, np.uint8) for number in by_luma])
            for number in by_colours:
                chosen.update(by_luma[row] for row in sampled_alike(decoded[number].identity.samples, lumas))
    return chosen


def in_luma(decoded: Mapping[int, Decoded], colours: Mapping[int, Decoded]) -> dict[int, Decoded]:
    """The same pictures, those of the same colours all known by one luma where one of them is known by luma.

    `colours` has what `perhaps_in_colour` has chosen, by their colours.
    """
    if not colours:
        return dict(decoded)
    lumas: dict[str, Identity] = {}  # by colours; of several the smallest, which comes last
    for number in sorted(colours, key=lambda number: decoded[number].identity.digest, reverse=True):
        lumas[colours[number].identity.digest] = decoded[number].identity
    seen = {**decoded, **colours}
    return {
        number: replace(one, identity=lumas.get(seen[number].identity.digest, one.identity))
        for number, one in decoded.items()
    }


def look_alikes(decoded: Mapping[int, Decoded]) -> set[int]:
    """One of each file's content among those whose pixels were found alike though the files are not.

    A file that is encoded anew is a content of its own: others may be written alike and yet be different.
    """
    return {number for files in _alike(decoded) if len(files) > 1 for number, *_ in files}


def told_apart(decoded: Mapping[int, Decoded], whole: Mapping[int, Decoded]) -> dict[int, Decoded]:
    """The same pictures, of which some are known by all their pixels in `whole`, as `look_alikes` has chosen them.

    Those take that identity that differ in it. One that is the same in every respect keeps its own, whatever joins it.
    """
    told = dict(decoded)
    for files in _alike(decoded):
        identities = [whole.get(numbers[0], decoded[numbers[0]]).identity for numbers in files]
        if len({identity.digest for identity in identities}) > 1:
            for numbers, identity in zip(files, identities, strict=True):
                told |= {number: replace(decoded[number], identity=identity) for number in numbers}
    return told


def _alike(decoded: Mapping[int, Decoded]) -> list[list[list[int]]]:
    """The numbers of the pictures whose pixels were found alike, of each those whose files are alike, in order."""
    alike: dict[str, dict[str | int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, one in sorted(decoded.items()):
        alike[one.identity.digest][one.payload_digest if one.passes else number].append(number)
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
    identities = (leader(f"pixels {picture.pixel_digest}").removeprefix("pixels ") for picture in pictures)
    return [
        picture if picture.pixel_digest == digest else replace(picture, pixel_digest=digest)
        for picture, digest in zip(pictures, identities, strict=True)
    ]


def without_copies(pictures: Sequence[LabelledPicture], quarantine: Quarantine) -> list[LabelledPicture]:
    """One of each set of equal pictures with the same boxes; the copies are left out by name.

    Equal pictures with other boxes stay, with a remark: which boxes are right is not for a program to say. The split
    keeps them on one side.
    """
    alike: dict[str, dict[tuple[Box, ...], LabelledPicture]] = defaultdict(dict)
    for picture in sorted(pictures, key=_content_first):
        same_pixels = alike[picture.pixel_digest]
        boxes = tuple(sorted(picture.boxes))
        first = same_pixels.get(boxes)
        if first:
            reason = f"it is the same picture as {first.source.path}, with the same boxes"
            quarantine.leave_out(
                picture.source.path, "duplicate_image", reason, annotation=picture.annotation.path, deliberate=True
            )
            continue
        if same_pixels:
            other = next(iter(same_pixels.values())).source.path
            reason = f"it is the same picture as {other}, but with other boxes"
            quarantine.remark(picture.source.path, "conflicting_boxes", reason)
        same_pixels[boxes] = picture
    return [picture for same_pixels in alike.values() for picture in same_pixels.values()]


def _content_first(picture: LabelledPicture) -> tuple[str, str, str]:
    """The stem before the path: it is in the output's names, which must not depend on where the data set lay."""
    return picture.payload_digest, picture.source.stem, picture.source.path
