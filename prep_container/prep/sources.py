"""Everything the data set's folder holds: loose files and the members of archives, each recognised."""

from __future__ import annotations

import os
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import IO

from dropspot.errors import InvalidInputError
from prep.archives import Allowance, Readable, members
from prep.kinds import HEAD_BYTES, classify, is_archive, suffix
from prep.model import Kind, SourceFile
from prep.quarantine import Quarantine

MAX_PICTURE_BYTES = 256 << 20
MAX_TEXT_BYTES = 32 << 20
MAX_STREAMED_BYTES = 2 << 30  # of JSON, which may describe a whole data set and is never held as a whole


def collect(dataset: Path, scratch: Path, quarantine: Quarantine, say: Callable[[str], None]) -> list[SourceFile]:
    """Every usable file below `dataset`, ordered by path; the others are left out by name.

    Archives are unpacked into `scratch` under numbers, one pass each, keeping only what preparation can use. Their
    members are named as if unpacked in place, so loose files and archives of them give the same paths.
    """
    if not dataset.is_dir():
        raise InvalidInputError("the data set is empty: there is no folder of input")
    files: list[SourceFile] = []
    allowance, number = Allowance(), count()
    scratch.mkdir(parents=True, exist_ok=True)
    empty = True
    for path, stored in _loose_files(dataset):
        empty = False
        mode = stored.lstat().st_mode
        if not stat.S_ISREG(mode):
            quarantine.leave_out(path, "unsafe_member", "it is a link or a device")
        elif is_archive(stored.name):
            say(f"reading {path}")
            folder = path.rpartition("/")[0]
            for member in members(stored, path, allowance):
                inner = _readable_name(f"{folder}/{member.path}" if folder else member.path)
                if member.content is None:
                    quarantine.leave_out(inner, "unsafe_member", f"member of {path}: {member.refused}")
                    continue
                kept = _keep(inner, member.content, scratch / f"{next(number):08d}", path, quarantine)
                files += [kept] if kept else []
        else:
            with stored.open("rb") as content:
                kept = _recognise(path, content.read(HEAD_BYTES), stored, "", quarantine)
            if kept and _within_limit(kept, stored.stat().st_size, quarantine):
                files.append(kept)
    if empty:
        raise InvalidInputError("the data set is empty: there is not a single file in it")
    return _distinctly_named(sorted(files, key=lambda file: (file.path, file.archive, file.stored)))


def _loose_files(dataset: Path) -> Iterator[tuple[str, Path]]:
    """Paths relative to the data set and on disk, in an order of their own; links to folders are not followed."""
    for folder, folders, names in os.walk(dataset):
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(set(folders) - set(linked))
        for name in sorted(names + linked):
            stored = Path(folder, name)
            yield _readable_name(stored.relative_to(dataset).as_posix()), stored


def _readable_name(path: str) -> str:
    """The path as text that can be written as UTF-8, composed the same way whatever system packed it."""
    return unicodedata.normalize("NFC", path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _recognise(path: str, head: bytes, stored: Path, archive: str, quarantine: Quarantine) -> SourceFile | None:
    verdict = classify(path, head)
    if verdict.kind is Kind.OTHER:
        quarantine.leave_out(path, "unsupported_file", verdict.reason)
        return None
    return SourceFile(path, verdict.kind, stored, archive, verdict.image_format)


def _limit(file: SourceFile) -> int:
    if file.kind is Kind.PICTURE:
        return MAX_PICTURE_BYTES
    streamed = file.kind is Kind.ANNOTATION and suffix(file.name) in ("json", "jsonl", "manifest")
    return MAX_STREAMED_BYTES if streamed else MAX_TEXT_BYTES


def _within_limit(file: SourceFile, size: int, quarantine: Quarantine) -> bool:
    limit = _limit(file)
    if size > limit:
        quarantine.leave_out(file.path, "file_too_large", f"more than {limit >> 20} MiB for a {file.kind.value}")
    return size <= limit


def _keep(path: str, content: Readable, target: Path, archive: str, quarantine: Quarantine) -> SourceFile | None:
    """Write a member to `target` if it is of use; whatever is not read here the archive reader skips."""
    head = content.read(HEAD_BYTES)
    file = _recognise(path, head, target, archive, quarantine)
    if file is None:
        return None
    with target.open("wb") as out:
        out.write(head)
        written = len(head) + _copy(content, out, _limit(file) + 1 - len(head))
    if _within_limit(file, written, quarantine):
        return file
    target.unlink()
    return None


def _copy(content: Readable, out: IO[bytes], at_most: int) -> int:
    written = 0
    while written < at_most and (data := content.read(min(shutil.COPY_BUFSIZE, at_most - written))):  # type: ignore[attr-defined]
        written += out.write(data)
    return written


def _distinctly_named(files: list[SourceFile]) -> list[SourceFile]:
    """Give files that came to the same path (two archives with the same members) a name that tells them apart."""
    taken: set[str] = set()
    named = []
    for file in files:
        path, tries = file.path, count(2)
        if path in taken and file.archive:
            path = f"{file.archive}/{file.path}"
        while path in taken:
            path = f"{file.path} ({next(tries)})"
        taken.add(path)
        named.append(SourceFile(path, file.kind, file.stored, file.archive, file.image_format))
    return named
