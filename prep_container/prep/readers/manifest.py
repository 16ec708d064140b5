"""Augmented manifests and the output manifests of Ground Truth: one picture a line, by the URI in `source-ref`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prep.model import Annotation, SourceFile
from prep.quarantine import Quarantine
from prep.readers.class_ids import Draft, claimed_size, named, take_objects
from prep.readers.documents import MAX_LINE_BYTES, lines, loads
from prep.readers.fields import Faults, class_names, part_of, text, too_many

_METADATA = "-metadata"
_UNLABELLED = "it names a picture, but nothing in it is a label with boxes"


class ManifestReader:
    """Reads JSON lines of `source-ref`, a label attribute with boxes and the label's metadata with the class map."""

    layout = "manifest"

    def read(
        self,
        files: Sequence[SourceFile],
        dataset: Sequence[SourceFile],  # noqa: ARG002  # pictures are found by their URIs later
        quarantine: Quarantine,
    ) -> list[Annotation]:
        faults = {file.path: Faults(file) for file in files}
        drafts: list[Draft] = []
        for file in files:
            found = _Lines(file, faults[file.path], len(drafts))
            if found.too_many:
                faults[file.path] = Faults(file)
                faults[file.path].add(found.too_many, code="file_too_large")
                continue
            drafts += found.drafts
            if not (found.drafts or found.other_faults):
                faults[file.path] = Faults(file)
                faults[file.path].add("its lines name pictures, but hold no boxes", code="unknown_layout")
        annotations = named(drafts, self.layout, faults, quarantine)
        for collected in faults.values():
            collected.report(quarantine)
        return annotations


class _Lines:
    """The lines of one manifest as drafts."""

    def __init__(self, file: SourceFile, faults: Faults, before: int) -> None:
        self.drafts: list[Draft] = []
        self.too_many = ""  # where set, the rest was not read
        self.other_faults = False  # than lines that were never labelled
        self._file, self._faults, self._part = file, faults, part_of(file.name)
        self._maps: dict[tuple[tuple[int, str], ...], dict[int, str]] = {}  # most lines have the same
        objects = 0
        for number, line in lines(file):
            if reason := too_many(before + len(self.drafts), objects):
                self.too_many = reason
                break
            item = f"line {number}"
            try:
                draft = self._draft(line, item)
            except ValueError as error:
                self.other_faults |= str(error) != _UNLABELLED
                faults.add(f"{item}: {error}", item=item)
                continue
            if draft is None:
                self.other_faults = True
            else:
                self.drafts.append(draft)
                objects += len(draft.objects)

    def _draft(self, line: bytes, item: str) -> Draft | None:
        """One line; None where its objects' faults are noted. Raises ValueError, one sentence, for any other fault."""
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"longer than {MAX_LINE_BYTES >> 20} MiB")
        entry = loads(line)
        if not isinstance(entry, dict):
            raise ValueError("it is no object")
        if "source-ref" not in entry and "source" in entry:
            raise ValueError(
                "it holds its data in the line itself (source); only pictures named by source-ref are read"
            )
        reference = text(entry.get("source-ref"))
        if not reference:
            raise ValueError("it has no source-ref")
        label = label_attribute(entry)
        document = entry[label]
        objects = take_objects(document, self._faults, item)
        if objects is None:
            return None
        names = class_names(_object(entry.get(label + _METADATA)).get("class-map"))
        names = self._maps.setdefault(tuple(names.items()), names)
        return Draft(self._file, reference, claimed_size(document), objects, names, item, self._part)


def label_attribute(entry: Mapping[str, Any]) -> str:
    """The attribute of a line that holds its boxes; ValueError says why there is none, or not one alone.

    It is the one whose metadata say object detection, else the only one with `annotations`. Of several, as a review
    adds them, it is the adjusted one, else the latest.
    """
    metadata = {key.removesuffix(_METADATA): _object(value) for key, value in entry.items() if key.endswith(_METADATA)}
    detected = [key for key, about in metadata.items() if _type(about) == "object-detection"]
    labels = [key for key in detected if "annotations" in _object(entry.get(key))]
    failed = [str(metadata[key]["failure-reason"])[:200] for key in detected if "failure-reason" in metadata[key]]
    if not labels and failed:
        raise ValueError(f"Ground Truth could not label it: {failed[0]!r}")
    if not labels and detected:
        raise ValueError(f"it has metadata of the label {detected[0]!r}, but not the label")
    if not detected:
        labels = [key for key, value in entry.items() if "annotations" in _object(value)]
    if not labels:
        raise ValueError(_UNLABELLED)
    if len(labels) > 1:
        labels = [key for key in labels if "adjustment-status" in metadata.get(key, {})] or labels
    if len(labels) > 1:
        dates = {key: text(metadata.get(key, {}).get("creation-date")) for key in labels}
        labels = [key for key, date in dates.items() if date and date == max(dates.values())]
    if len(labels) != 1:
        raise ValueError("several of its attributes hold boxes, and nothing says which to take")
    label = labels[0]
    if "failure-reason" in metadata.get(label, {}):
        raise ValueError(f"Ground Truth could not label it: {failed[0]!r}" if failed else "its labelling failed")
    return label


def _type(metadata: Mapping[str, Any]) -> str:
    """`object-detection` of `groundtruth/object-detection`."""
    return text(metadata.get("type")).rpartition("/")[2]


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
