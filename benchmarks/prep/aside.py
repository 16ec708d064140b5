"""Folders of earlier runs, moved out of the way until the end.

A program that writes where hundreds of files have just been deleted is slowed down by that: for a minute ext4 passes
over their inode numbers, each of them for each new file. A container's folders are fresh.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

NAME = "aside"


def set_aside(folder: Path, work: Path) -> None:
    """Move a folder out of the way, if it is there; its record files are deleted, which makes room."""
    if folder.exists():
        (work / NAME).mkdir(exist_ok=True)
        moved = folder.rename(Path(tempfile.mkdtemp(dir=work / NAME)) / folder.name)
        for records in moved.rglob("*.rec"):
            records.unlink()


def clear(work: Path) -> None:
    """Delete what was set aside."""
    shutil.rmtree(work / NAME, ignore_errors=True)
