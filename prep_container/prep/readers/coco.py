"""COCO instances: one JSON file of images, annotations and categories; boxes as [x, y, width, height] in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from prep.model import Annotation, SourceFile, StatedBox
from prep.quarantine import Quarantine
from prep.readers.documents import events
from prep.readers.entries import Entries
from prep.readers.fields import (
    MAX_BOXES,
    Corners,
    Faults,
    Id,
    corners,
    identifier,
    part_of,
    shown,
    size,
    text,
    too_many,
)

WANTED = {
    "images": frozenset({"id", "file_name", "coco_url", "width", "height"}),
    "annotations": frozenset({"id", "image_id", "category_id", "bbox", "iscrowd"}),
    "categories": frozenset({"id", "name"}),
}


class CocoReader:
    """Reads COCO files of any size as a stream: memory holds what is kept of them, never a document."""

    layout = "coco"

    def read(
        self,
        files: Sequence[SourceFile],
        dataset: Sequence[SourceFile],  # noqa: ARG002  # a COCO file says everything itself
        quarantine: Quarantine,
    ) -> list[Annotation]:
        annotations: list[Annotation] = []
        for file in files:
            try:
                document = _parse(file, len(annotations))
            except ValueError as error:
                quarantine.leave_out(file.path, "bad_annotation", str(error))
                continue
            if document.too_many:
                quarantine.leave_out(file.path, "file_too_large", document.too_many)
                continue
            if refused := document.unknown:
                quarantine.leave_out(file.path, "unknown_layout", refused)
                continue
            annotations += document.annotations()
            document.faults.report(quarantine)
        return annotations


@dataclass(slots=True)
class _Image:
    name: str
    size: tuple[int, int] | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Object:
    index: int
    object_id: object
    category: Id | None
    corners: Corners
    crowd: bool


def _parse(file: SourceFile, before: int) -> _Document:
    """The file as a document; once more with its numbers mended where that is what it takes."""
    try:
        return _read(file, before, mended=False)
    except ValueError:
        return _read(file, before, mended=True)


def _read(file: SourceFile, before: int, *, mended: bool) -> _Document:
    """The file as a document, read no further than it takes to see that it has too much, `before` entries before it."""
    entries = Entries(WANTED)
    document = _Document(file, Faults(file), entries.lists)
    for section, index, entry in entries.read(events(file, whole=True, mended=mended)):
        if section == "images":
            document.take_image(index, entry)
        elif section == "annotations":
            document.take_object(index, entry)
        else:
            document.take_category(index, entry)
        if reason := too_many(before + len(document.images), document.taken):
            document.too_many = reason
            break
    return document


@dataclass(slots=True)
class _Document:
    """What is kept of one file; its three lists may come in any order."""

    file: SourceFile
    faults: Faults
    sections: set[str]  # the wanted lists that are there, complete once everything is read
    images: dict[Id, _Image] = field(default_factory=dict)
    objects: dict[Id, list[_Object]] = field(default_factory=dict)
    categories: dict[Id, str] = field(default_factory=dict)
    repeated: set[Id] = field(default_factory=set)
    too_many: str = ""
    taken: int = 0
    with_box: int = 0

    def take_image(self, index: int, entry: dict[str, Any]) -> None:
        image_id = identifier(entry.get("id"))
        if image_id is None:
            self.faults.add(f"image entry {index} has no id")
            return
        name = text(entry.get("file_name")) or text(entry.get("coco_url"))  # LVIS states the latter alone
        known = self.images.get(image_id)
        if known is None:
            fault = "" if name else f"its file_name is {shown(entry.get('file_name'))}"
            self.images[image_id] = _Image(name, size(entry.get("width"), entry.get("height")), fault)
        elif known.name == name:
            self.faults.add(f"it is listed again in image entry {index}", item=_item(image_id))
        else:
            known.fault = f"{shown(known.name)} and {shown(name)} have the same id, so that its boxes belong to neither"

    def take_object(self, index: int, entry: dict[str, Any]) -> None:
        self.taken += 1
        self.with_box += "bbox" in entry
        image_id = identifier(entry.get("image_id"))
        if image_id is None:
            self.faults.add(f"annotation {index} has no image_id", box=index)
            return
        try:
            bbox = entry.get("bbox")
            if not isinstance(bbox, list) or len(bbox) != 4:
                raise ValueError("its bbox is no list of four numbers")
            edges = corners(*bbox)
        except ValueError as error:
            self.faults.add(f"annotation {index}: {error}", box=index, item=_item(image_id))
            return
        objects = self.objects.setdefault(image_id, [])
        if len(objects) <= MAX_BOXES:
            category, crowd = identifier(entry.get("category_id")), entry.get("iscrowd") in (1, True)
            objects.append(_Object(index, identifier(entry.get("id")), category, edges, crowd))

    def take_category(self, index: int, entry: dict[str, Any]) -> None:
        category, name = identifier(entry.get("id")), text(entry.get("name"))
        if category is None or not name:
            self.faults.add(f"category entry {index} has no id or no name")
        elif self.categories.setdefault(category, name) != name:
            self.repeated.add(category)

    @property
    def unknown(self) -> str:
        """Why this is no file of boxes, or ""."""
        if missing := sorted({"images", "annotations"} - self.sections):
            return f"like COCO, but without a list of {' and '.join(missing)}"
        if self.taken and not self.with_box:
            return "COCO, but none of its annotations has a bbox: captions, segments or keypoints are not trained on"
        return ""

    def annotations(self) -> list[Annotation]:
        """One annotation for every image that is sound, in the file's order; an image without objects has no box."""
        if not self.images and not self.faults:
            self.faults.add("it lists no images")
        part, found = part_of(self.file.name), []
        for image_id, image in self.images.items():
            objects, item = self.objects.pop(image_id, []), _item(image_id)
            if image.fault:
                with_it = f"; {len(objects)} boxes are left out with it" if objects else ""
                self.faults.add(f"{item}: {image.fault}{with_it}", item=item)
            elif len(objects) > MAX_BOXES:
                self.faults.add(f"{item} has more than {MAX_BOXES} boxes", code="too_many_boxes", item=item)
            else:
                boxes = tuple(self._boxes(objects, item))
                found.append(Annotation(self.file, image.name, image.size, boxes, "coco", part, item))
        for image_id, objects in self.objects.items():
            for stated in objects:
                reason = f"annotation {stated.index} is of {_item(image_id)}, which the file does not list"
                self.faults.add(reason, box=stated.index, item=_item(image_id))
        return found

    def _boxes(self, objects: Sequence[_Object], item: str) -> Iterator[StatedBox]:
        seen = set()
        for stated in objects:
            name = "" if stated.category is None else self.categories.get(stated.category, "")
            whole = (stated.object_id, stated.category, stated.corners)
            if not name:
                reason = f"its category_id {shown(stated.category)} is none of the file's categories"
            elif stated.category in self.repeated:
                reason = f"its category_id {shown(stated.category)} stands for several names"
            elif stated.object_id is not None and whole in seen:
                reason = "it repeats an annotation with the same id and box"
            else:
                seen.add(whole)
                yield StatedBox(stated.index, name, *stated.corners, crowd=stated.crowd)
                continue
            self.faults.add(f"annotation {stated.index}: {reason}", box=stated.index, item=item)


def _item(image_id: Id) -> str:
    return f"image {image_id}"
