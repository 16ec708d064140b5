"""Boxes as SageMaker's JSON documents state them: whole pixels of the written picture, left, top, width and height."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from prep.model import LabelledPicture


def image_size(picture: LabelledPicture) -> list[dict[str, int]]:
    """The size of the written picture, as a list of one; depth counts its channels."""
    return [{"width": picture.width, "height": picture.height, "depth": 3}]


def pixel_boxes(picture: LabelledPicture, class_ids: Mapping[str, int]) -> list[dict[str, int]]:
    """The boxes in their order, each inside the picture and at least a pixel wide and high."""
    boxes = []
    for box in picture.boxes:
        left, width = _whole(box.xmin, box.xmax, picture.width)
        top, height = _whole(box.ymin, box.ymax, picture.height)
        boxes.append({"class_id": class_ids[box.name], "left": left, "top": top, "width": width, "height": height})
    return boxes


def _whole(low: float, high: float, length: int) -> tuple[int, int]:
    """Start and extent in pixels of a span given in fractions: its edges moved to the nearest between two pixels.

    A span too small for that gets the pixel that its middle lies in.
    """
    start, end = (min(max(floor(edge * length + 0.5), 0), length) for edge in (low, high))
    if end <= start:
        start = min(max(floor((low + high) / 2 * length), 0), length - 1)
        end = start + 1
    return start, end - start
