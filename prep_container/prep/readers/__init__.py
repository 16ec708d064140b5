"""Annotation layouts: one reader each, every file given to the reader of the layout that its content is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from dropspot.preparation_plan import PreparationPlan
from prep.model import Annotation, Kind, SourceFile
from prep.quarantine import Quarantine
from prep.readers.coco import CocoReader
from prep.readers.manifest import ManifestReader
from prep.readers.recognition import Finding, layout_of
from prep.readers.sagemaker_json import SageMakerJsonReader
from prep.readers.voc import VocReader
from prep.readers.yolo import YoloReader


class AnnotationReader(Protocol):
    """Understands one layout of annotations."""

    @property
    def layout(self) -> str:
        """The layout's name, one of the plan's LAYOUTS."""
        ...

    def read(
        self, files: Sequence[SourceFile], dataset: Sequence[SourceFile], quarantine: Quarantine
    ) -> list[Annotation]:
        """The annotations in `files`; what cannot be read is left out by name, never raised.

        `dataset` is every file there is: a layout may refer to pictures and lists.
        """
        ...


READERS: tuple[AnnotationReader, ...] = (
    VocReader(),
    CocoReader(),
    YoloReader(),
    SageMakerJsonReader(),
    ManifestReader(),
)


def read_annotations(files: Sequence[SourceFile], plan: PreparationPlan, quarantine: Quarantine) -> list[Annotation]:
    """Every annotation of the data set, whatever layouts it mixes; with `plan.layout` only those in that one.

    Each file of the kind ANNOTATION or NAMES is read or left out by name.
    """
    found: dict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        if file.kind not in (Kind.ANNOTATION, Kind.NAMES):
            continue
        finding = layout_of(file)
        if plan.layout not in ("auto", finding.layout) and not (_broken(finding) and plan.layout in _JSON_LAYOUTS):
            reason = f"the plan asks for annotations in the layout {plan.layout} alone"
            quarantine.leave_out(file.path, "unsupported_file", reason, deliberate=True)
        elif finding.layout:
            found[finding.layout].append(file)
        else:
            quarantine.leave_out(file.path, finding.code, finding.reason)
    return [annotation for reader in READERS for annotation in reader.read(found[reader.layout], files, quarantine)]


_JSON_LAYOUTS = ("coco", "sagemaker-json", "manifest")


def _broken(finding: Finding) -> bool:
    """Whether the file may well be in the layout asked for, but is damaged."""
    return finding.code == "bad_annotation"
