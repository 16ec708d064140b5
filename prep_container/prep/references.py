"""Pictures that a manifest refers to outside its data set, mounted as `references/<bucket>/<key>`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prep.kinds import HEAD_BYTES, classify
from prep.model import Kind, SourceFile
from prep.quarantine import Quarantine


def referenced_pictures(references: Path, quarantine: Quarantine) -> list[SourceFile]:
    """Every picture below `references`, under the URI that manifests call it by; the folder may be absent.

    Nothing else is of use there: an archive or an annotation that somebody refers to is left out by name.
    """
    pictures = []
    for stored in _files(references, quarantine):
        uri = _uri(stored, references)
        try:
            with stored.open("rb") as content:
                verdict = classify(uri.removeprefix("s3://").partition("/")[2], content.read(HEAD_BYTES))
        except OSError as error:
            quarantine.leave_out(uri, "unreadable_file", f"it cannot be read: {error.strerror}")
            continue
        if verdict.kind is Kind.PICTURE:
            pictures.append(SourceFile(uri, Kind.PICTURE, stored, image_format=verdict.image_format))
        else:
            is_picture = verdict.code == "unsupported_image"
            reason = verdict.reason if is_picture else "a manifest refers to it, and it is no picture"
            quarantine.leave_out(uri, verdict.code, reason)
    return pictures


def _uri(stored: Path, references: Path) -> str:
    return f"s3://{stored.relative_to(references).as_posix()}"


def _files(references: Path, quarantine: Quarantine) -> Iterator[Path]:
    """Every regular file; a folder that may not be read is left out by name, a missing one holds nothing."""

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            folder = _uri(Path(error.filename), references)
            quarantine.leave_out(folder, "unreadable_file", f"the folder cannot be read: {error.strerror}")

    for parent, folders, names in os.walk(references, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            with suppress(PermissionError):  # which the caller meets again, and names
                if not stat.S_ISREG(path.lstat().st_mode):
                    continue
            yield path
