"""Annotation layouts: one reader each, tried in order on the files of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prep.model import Annotation, SourceFile
from prep.quarantine import Quarantine
from prep.readers.voc import VocReader


class AnnotationReader(Protocol):
    """Understands one layout of annotations."""

    def claims(self, file: SourceFile) -> bool:
        """Whether this file is one the reader wants to read."""
        ...

    def read(self, files: Sequence[SourceFile], quarantine: Quarantine) -> list[Annotation]:
        """The annotations in the files claimed; what cannot be read is left out by name, never raised."""
        ...


READERS: tuple[AnnotationReader, ...] = (VocReader(),)


def read_annotations(files: Sequence[SourceFile], quarantine: Quarantine) -> list[Annotation]:
    """Every annotation of the data set, each file read by the first reader that claims it."""
    remaining, annotations = list(files), []
    for reader in READERS:
        claimed = [file for file in remaining if reader.claims(file)]
        remaining = [file for file in remaining if not reader.claims(file)]
        annotations += reader.read(claimed, quarantine)
    return annotations
