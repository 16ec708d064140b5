"""Channels as files: `<channel>/` holds the JPEGs, `<channel>_annotation/` a JSON document of the same name for each.

The documents are those of SageMaker's Object Detection algorithm for training on images. It matches the two channels
by file name and wants nothing else in either of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prep.model import LabelledPicture
from prep.writers import Destination, Named, write_picture
from prep.writers.class_names import named_ids
from prep.writers.pixel_boxes import image_size, pixel_boxes


def annotation_document(name: str, picture: LabelledPicture, class_ids: Mapping[str, int]) -> dict[str, Any]:
    """What is said about one picture; `file` is relative to the channel of the pictures.

    `categories` names the classes in this picture only: with many classes and pictures the full list in each document
    would outweigh all else.
    """
    return {
        "file": name,
        "image_size": image_size(picture),
        "annotations": pixel_boxes(picture, class_ids),
        "categories": [{"class_id": class_id, "name": name} for class_id, name in named_ids(picture.boxes, class_ids)],
    }


def write(pictures: Named, channel: str, destination: Destination) -> None:
    """Write the two channels of one side."""
    images, annotations = destination.folder / channel, _annotation_folder(channel, destination.folder)
    images.mkdir(parents=True, exist_ok=True)
    annotations.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        document = annotation_document(name, picture, destination.class_ids)
        write_picture(picture, images / name)
        path = (annotations / name).with_suffix(".json")
        path.write_text(json.dumps(document) + "\n", encoding="ascii", newline="\n")


def count(channel: str, folder: Path) -> int:
    """Read back how many annotation documents a side has."""
    return sum(path.suffix == ".json" for path in _annotation_folder(channel, folder).iterdir())


def _annotation_folder(channel: str, folder: Path) -> Path:
    return folder / f"{channel}_annotation"
