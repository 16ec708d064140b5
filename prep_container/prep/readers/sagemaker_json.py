"""The JSON of SageMaker's image mode: one file per picture, boxes as left, top, width and height in pixels."""

from __future__ import annotations

from collections.abc import Sequence

from prep.model import Annotation, SourceFile
from prep.quarantine import Quarantine
from prep.readers.class_ids import Draft, claimed_size, named, take_objects
from prep.readers.documents import loads
from prep.readers.fields import Faults, class_id, text

MAX_DOCUMENT_BYTES = 8 << 20


class SageMakerJsonReader:
    """Reads `{"file", "image_size", "annotations", "categories"}`; names come from categories, of any of the files."""

    layout = "sagemaker-json"

    def read(
        self,
        files: Sequence[SourceFile],
        dataset: Sequence[SourceFile],  # noqa: ARG002  # its names are among its own files
        quarantine: Quarantine,
    ) -> list[Annotation]:
        faults = {file.path: Faults(file) for file in files}
        drafts = [draft for file in files if (draft := _draft(file, faults[file.path]))]
        annotations = named(drafts, self.layout, faults, quarantine)
        for found in faults.values():
            found.report(quarantine)
        return annotations


def _draft(file: SourceFile, faults: Faults) -> Draft | None:
    data = file.beginning(MAX_DOCUMENT_BYTES + 1)
    try:
        if len(data) > MAX_DOCUMENT_BYTES:
            raise ValueError(f"larger than {MAX_DOCUMENT_BYTES >> 20} MiB")
        document = loads(data.removeprefix(b"\xef\xbb\xbf"))
        if not isinstance(document, dict):
            raise ValueError("it is no object")  # unreachable while recognition has seen one
    except ValueError as error:
        faults.add(str(error))
        return None
    objects = take_objects(document, faults)
    if objects is None:
        return None
    return Draft(file, text(document.get("file")), claimed_size(document), objects, _names(document.get("categories")))


def _names(categories: object) -> dict[int, str]:
    names: dict[int, str] = {}
    for entry in categories if isinstance(categories, list) else ():
        if isinstance(entry, dict):
            found, name = class_id(entry.get("class_id")), text(entry.get("name"))
            if found is not None and name:
                names.setdefault(found, name)
    return names
