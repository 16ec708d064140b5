"""What is written for training and for the final score, one module per output."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from prep.model import LabelledPicture


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the prepared data go, and what the classes are numbered.

    `folder` is prepared/ on disk; `uri` is the `s3://bucket/…/` under which training will find that folder, "" where
    nobody said.
    """

    folder: Path
    class_ids: Mapping[str, int]
    uri: str = ""


Named = Mapping[str, LabelledPicture]  # the pictures of one side in their order, by their published names


class ChannelWriter(Protocol):
    """One kind of output. Every module of this package that writes channels is one."""

    def write(self, pictures: Named, channel: str, destination: Destination) -> None:
        """Write the pictures of one channel ("train" or "validation") in their order."""

    def count(self, channel: str, folder: Path) -> int:
        """Read back from prepared/ how many pictures a channel holds."""


def published_name(picture: LabelledPicture) -> str:
    """The picture's file name in the output: its own stem in plain characters, and a digest that makes it unique.

    Depends on content and stem only, so the same data set in other folders or archives gets the same names.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", picture.source.stem)[:60]
    boxes = sorted((box.name, *box.corners, box.difficult) for box in picture.boxes)
    identity = sha256(f"{picture.payload_digest}{boxes}".encode()).hexdigest()[:12]
    return f"{plain}-{identity}.jpg"


def named(pictures: Sequence[LabelledPicture]) -> Named:
    """The pictures by their published names. Raises FileExistsError where two would have the same."""
    by_name: dict[str, LabelledPicture] = {}
    for picture in pictures:
        name = published_name(picture)
        if name in by_name:
            paths = f"{by_name[name].source.path} and {picture.source.path}"
            raise FileExistsError(f"{paths} would both be written as {name}")
        by_name[name] = picture
    return by_name


def write_picture(picture: LabelledPicture, path: Path) -> None:
    """Write a picture's file. Raises FileExistsError where there is one: no picture may take another's place."""
    try:
        with path.open("xb") as file:
            file.write(picture.payload.read_bytes())
    except FileExistsError as error:
        twice = f"{path.name} would be written twice, the second time for {picture.source.path}"
        raise FileExistsError(twice) from error


def write_json(path: Path, document: object) -> None:
    """Write a document the same way every time: indented, keys in the given order, newline at the end.

    A lone surrogate, which a class's name can hold, has no UTF-8 form and is written as JSON's escape for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    path.write_bytes(text.encode("utf-8", "backslashreplace"))
