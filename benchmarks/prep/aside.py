"""Folders of earlier runs, emptied and moved out of the way until the end.

A program that writes where hundreds of files have just been deleted is slowed down by that: for a minute ext4 passes
over their inode numbers, each of them for each new file. A container's folders are fresh. Files that keep their
contents slow down as well what comes behind them, when the system writes these to the disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

NAME = "aside"


def set_aside(folder: Path, work: Path) -> None:
    """Move a folder out of the way, if it is there, and empty its record files."""
    if folder.exists():
        (work / NAME).mkdir(exist_ok=True)
        empty(folder.rename(Path(tempfile.mkdtemp(dir=work / NAME)) / folder.name), "*.rec")


def empty(folder: Path, pattern: str) -> None:
    """Let these files of a folder have nothing in them, but be there."""
    for path in folder.rglob(pattern):
        os.truncate(path, 0)


def clear(work: Path) -> None:
    """Delete what was set aside."""
    shutil.rmtree(work / NAME, ignore_errors=True)
