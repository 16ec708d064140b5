"""The things preparation talks about: files found, boxes read, pictures ready to be written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Kind(Enum):
    """What a file of the data set is good for.

    ANNOTATION is whatever may be one, JSON and text of any sort included; NAMES are files of classes' names.
    """

    PICTURE = "picture"
    ANNOTATION = "annotation"
    LIST = "list"
    NAMES = "names"
    PLAN = "plan"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the data set, loose or from an archive.

    `path` is where it would lie, relative to the data set, with every archive unpacked in place ("/" between parts).
    `archive` names the archive it came from ("" for a loose file); `stored` is the readable copy on disk.
    `image_format` is what the content says ("JPEG", "PNG", ...), whatever the name ends in; "" if it is no picture.
    """

    path: str
    kind: Kind
    stored: Path
    archive: str = ""
    image_format: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return stem(self.name)

    @property
    def unpacked_path(self) -> str:
        """Where it lies once its archive is unpacked, whatever it is called to be told from another archive's file."""
        return self.path.removeprefix(f"{self.archive}/") if self.archive else self.path

    def beginning(self, limit: int) -> bytes:
        """All of the file, or its first `limit` bytes.

        As much memory as is asked for is taken before anything is read: of a small file no more than it has.
        """
        with self.stored.open("rb") as stream:
            return stream.read(min(limit, os.fstat(stream.fileno()).st_size))


def stem(name: str) -> str:
    """The name without its last suffix: `a.b.jpg` -> `a.b`, `.hidden` -> `.hidden`."""
    head, dot, _ = name.rpartition(".")
    return head if dot and head else name


@dataclass(frozen=True, slots=True)
class StatedBox:
    """One object as its annotation states it: corners, origin top left, in the units of the annotation's layout.

    `index` is its position among the objects of the annotation (of the file, where one file holds one list of objects
    for many pictures), so that a report can point at it.
    """

    index: int
    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False
    truncated: bool = False
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a data set says about one picture.

    `picture_name` is the picture's name or path as stated ("" where the annotation's own file name is all there is);
    `claimed_size` is the width and height it claims, or None. `layout` is one of the plan's LAYOUTS. `part` is the
    side that the layout itself puts the picture on ("train", "validation", "test" or ""), and `other_parts` are those
    that it, or another annotation of the same picture, puts it on as well. `item` says which entry of `file` is meant
    where a file describes many pictures: a line's number, an image's id.
    """

    file: SourceFile
    picture_name: str
    claimed_size: tuple[int, int] | None
    boxes: tuple[StatedBox, ...]
    layout: str = "voc"
    part: str = ""
    item: str = ""
    other_parts: frozenset[str] = frozenset()

    @property
    def parts(self) -> frozenset[str]:
        """Every part that the picture is put on."""
        return (self.other_parts | {self.part}) - {""}


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """One usable object: its class and its corners as fractions (0 to 1) of the picture's width and height."""

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False

    @property
    def corners(self) -> tuple[float, float, float, float]:
        return self.xmin, self.ymin, self.xmax, self.ymax


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture ready to be written, with at least one box.

    `payload` holds the JPEG bytes (3 channels, upright, within the plan's size) and `payload_digest` identifies them;
    `pixel_digest` is that of the upright decoded source, the identity of the picture whatever its encoding.
    """

    source: SourceFile
    annotation: SourceFile
    payload: Path
    payload_digest: str
    pixel_digest: str
    width: int
    height: int
    boxes: tuple[Box, ...]
