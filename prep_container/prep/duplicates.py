"""Pictures that occur more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from prep.model import Box, LabelledPicture
from prep.quarantine import Quarantine


def without_copies(pictures: Sequence[LabelledPicture], quarantine: Quarantine) -> list[LabelledPicture]:
    """One of each set of pictures with the same pixels and the same boxes; the copies are left out by name.

    The same pixels with other boxes stay, with a remark: which boxes are right is not for a program to say. The split
    keeps them on one side.
    """
    alike: dict[str, dict[tuple[Box, ...], LabelledPicture]] = defaultdict(dict)
    for picture in sorted(pictures, key=lambda p: (p.payload_digest, p.source.path)):
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
