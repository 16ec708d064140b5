"""Channels as augmented manifests: `<channel>/<channel>.manifest`, and the pictures it names in `<channel>/images/`.

A line is what Ground Truth writes for a bounding-box job, so that tools which read its manifests read these. Its
`creation-date` and `job-name` are left out: training reads neither, and the same data set must give the same bytes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropspot.errors import InvalidInputError
from prep.model import LabelledPicture
from prep.writers import Destination, Named
from prep.writers.class_names import class_map
from prep.writers.pixel_boxes import image_size, pixel_boxes

_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


def line_of(name: str, picture: LabelledPicture, class_ids: Mapping[str, int], images_uri: str) -> dict[str, Any]:
    """The manifest's line for a picture that lies under `images_uri`, which ends in a slash."""
    return {
        "source-ref": f"{images_uri}{name}",
        "bounding-box": {"image_size": image_size(picture), "annotations": pixel_boxes(picture, class_ids)},
        "bounding-box-metadata": {
            "class-map": class_map(picture.boxes, class_ids),
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
        },
    }


def checked_uri(uri: str) -> str:
    """Return the prepared data's URI with one slash at its end.

    Raises InvalidInputError for one that names no place in S3: a manifest states whole addresses.
    """
    if not uri:
        raise InvalidInputError(
            "output augmented-manifest names every picture by its address: give the s3://bucket/prefix/ where the"
            " prepared data will lie as --prepared-uri, or as DROPSPOT_PREPARED_URI to the container"
        )
    if _S3_URI.fullmatch(uri) is None:
        raise InvalidInputError(f"the prepared data's address is {uri[:80]!r}: it must be an s3://bucket/prefix/")
    return f"{uri.rstrip('/')}/"


def write(pictures: Named, channel: str, destination: Destination) -> None:
    """Write one channel's manifest and pictures. Raises InvalidInputError as `checked_uri` does."""
    images_uri = f"{checked_uri(destination.uri)}{channel}/images/"
    folder = destination.folder / channel
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with _manifest(channel, destination.folder).open("w", encoding="ascii", newline="\n") as manifest:
        for name, picture in pictures.items():
            shutil.copyfile(picture.payload, folder / "images" / name)
            manifest.write(json.dumps(line_of(name, picture, destination.class_ids, images_uri)) + "\n")


def count(channel: str, folder: Path) -> int:
    """Read back how many lines a channel's manifest has."""
    with _manifest(channel, folder).open("rb") as manifest:
        return sum(1 for line in manifest if line.strip())


def _manifest(channel: str, folder: Path) -> Path:
    return folder / channel / f"{channel}.manifest"
