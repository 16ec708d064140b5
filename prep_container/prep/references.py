"""Pictures that a manifest refers to outside its data set, mounted as `references/<bucket>/<key>`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prep.kinds import HEAD_BYTES, classify
from prep.model import Kind, SourceFile
from prep.quarantine import Quarantine


def referenced_pictures(references: Path, quarantine: Quarantine) -> list[SourceFile]:
    """Every picture below `references`, under the URI that manifests call it by; the folder may be absent.

    Nothing else is of use there: an archive or an annotation that somebody refers to is left out by name.
    """
    pictures = []
    for stored in _files(references):
        bucket, _, key = stored.relative_to(references).as_posix().partition("/")
        uri = f"s3://{bucket}/{key}"
        with stored.open("rb") as content:
            verdict = classify(key, content.read(HEAD_BYTES))
        if verdict.kind is Kind.PICTURE:
            pictures.append(SourceFile(uri, Kind.PICTURE, stored, image_format=verdict.image_format))
        else:
            quarantine.leave_out(uri, "unsupported_file", "a manifest refers to it, and it is no picture")
    return pictures


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path
