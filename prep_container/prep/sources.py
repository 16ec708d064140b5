"""Everything the data set's folder holds: loose files and the members of archives, each recognised."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterator
from itertools import count, groupby
from pathlib import Path
from typing import IO

from dropspot.errors import InvalidInputError
from prep.archives import Allowance, Readable, members
from prep.kinds import HEAD_BYTES, PLAN_NAME, classify, is_archive, suffix
from prep.model import Kind, SourceFile
from prep.quarantine import Quarantine

MAX_PICTURE_BYTES = 256 << 20
MAX_TEXT_BYTES = 32 << 20
MAX_STREAMED_BYTES = 2 << 30  # of JSON, which may describe a whole data set and is never held as a whole
_CALLED = {
    Kind.PICTURE: "a picture",
    Kind.ANNOTATION: "an annotation",
    Kind.LIST: "a list",
    Kind.NAMES: "a list of classes",
    Kind.PLAN: "a plan",
}


def collect(dataset: Path, scratch: Path, quarantine: Quarantine, say: Callable[[str], None]) -> list[SourceFile]:
    """Every usable file below `dataset`, ordered by path; the others are left out by name.

    Archives are unpacked into `scratch` under numbers, one pass each, keeping only what preparation can use. Their
    members are named as if unpacked in place, so loose files and archives of them give the same paths. Of files with
    one path, a loose one replaces an archive's, and a later member an earlier one of the same archive.
    """
    if not dataset.is_dir():
        raise InvalidInputError("the data set is empty: there is no folder of input")
    files: list[SourceFile] = []
    allowance, number = Allowance(), count()
    scratch.mkdir(parents=True, exist_ok=True)
    empty, told = True, len(quarantine.entries)
    for path, stored in _loose_files(dataset, quarantine):
        empty = False
        try:
            status = stored.lstat()
            head = _head(stored) if stat.S_ISREG(status.st_mode) else b""
        except OSError as error:
            if is_archive(stored.name):
                raise InvalidInputError(f"archive {path} cannot be read: {error.strerror}") from error
            quarantine.leave_out(path, "unreadable_file", f"it cannot be read: {error.strerror}")
            continue
        if not stat.S_ISREG(status.st_mode):
            quarantine.leave_out(path, "unsafe_member", "it is a link or a device")
        elif is_archive(stored.name):
            say(f"reading {path}")
            files += _unpacked(path, stored, allowance, (scratch / f"{each:08d}" for each in number), quarantine)
        elif (file := _recognise(path, head, stored, "", quarantine)) and _within_limit(
            file, status.st_size, quarantine
        ):
            files.append(file)
    if empty and len(quarantine.entries) == told:
        raise InvalidInputError("the data set is empty: there is not a single file in it")
    return _distinctly_named(_without_replaced(files, quarantine))


def _unpacked(
    archive: str, stored: Path, allowance: Allowance, targets: Iterator[Path], quarantine: Quarantine
) -> list[SourceFile]:
    """The usable members of an archive, each written to the next of `targets`.

    A member that is appended under a name that the archive has already is its new version, as for those who unpack it.
    """
    folder = archive.rpartition("/")[0]
    kept: dict[str, SourceFile] = {}
    for member in members(stored, archive, allowance):
        path = _readable_name(f"{folder}/{member.path}" if folder else member.path)
        if member.content is None:
            quarantine.leave_out(path, "unsafe_member", f"member of {archive}: {member.refused}")
        elif file := _keep(path, member.content, next(targets), archive, quarantine):
            if earlier := kept.pop(member.path, None):
                _leave_out_replaced(earlier, file, "a later member of the same path", quarantine)
            kept[member.path] = file
    return list(kept.values())


def _loose_files(dataset: Path, quarantine: Quarantine) -> Iterator[tuple[str, Path]]:
    """Paths relative to the data set and on disk, in an order of their own; links to folders are not followed.

    A folder that may not be read is left out by name: whatever it holds would be missing in silence.
    """

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == dataset:
            raise InvalidInputError(f"the data set's folder cannot be read: {error.strerror}") from error
        path = _readable_name(Path(error.filename).relative_to(dataset).as_posix())
        quarantine.leave_out(path, "unreadable_file", f"the folder cannot be read: {error.strerror}")

    for folder, folders, names in os.walk(dataset, onerror=unreadable):
        linked = [name for name in folders if is_link(Path(folder, name))]
        folders[:] = sorted(set(folders) - set(linked))
        for name in sorted(names + linked):
            stored = Path(folder, name)
            yield _readable_name(stored.relative_to(dataset).as_posix()), stored


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link, as far as it may be looked at."""
    try:
        return path.is_symlink()
    except PermissionError:
        return False


def _head(stored: Path) -> bytes:
    with stored.open("rb") as content:
        return content.read(HEAD_BYTES)


def _readable_name(path: str) -> str:
    """The path as text that can be written as UTF-8, composed the same way whatever system packed it."""
    return unicodedata.normalize("NFC", path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _recognise(path: str, head: bytes, stored: Path, archive: str, quarantine: Quarantine) -> SourceFile | None:
    verdict = classify(path, head)
    if verdict.kind is Kind.OTHER:
        quarantine.leave_out(path, verdict.code, verdict.reason)
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
        reason = f"more than {limit >> 20} MiB, the most for {_CALLED[file.kind]}"
        quarantine.leave_out(file.path, "file_too_large", reason)
    return size <= limit


def _keep(path: str, content: Readable, target: Path, archive: str, quarantine: Quarantine) -> SourceFile | None:
    """Write a member to `target` if it is of use; whatever is not read here the archive reader skips."""
    head = content.read(HEAD_BYTES)
    file = _recognise(path, head, target, archive, quarantine)
    if file is None:
        return None
    if file.kind is Kind.PLAN:
        reason = f"a plan is not read from an archive: put {PLAN_NAME} beside {archive}"
        quarantine.leave_out(path, "unsupported_file", reason)
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


def _without_replaced(files: list[SourceFile], quarantine: Quarantine) -> list[SourceFile]:
    """The files in the order of their paths, without the members whose place a loose file has taken.

    Which of two versions is used must not depend on what an archive is called.
    """
    kept = []
    ordered = sorted(files, key=lambda file: (file.path, file.archive, file.stored))
    for _, alike in groupby(ordered, key=lambda file: file.path):
        first, *others = alike
        kept.append(first)
        for other in others:
            if other.archive and not first.archive:
                _leave_out_replaced(other, first, "the loose file of the same path", quarantine)
            else:
                kept.append(other)
    return kept


def _leave_out_replaced(file: SourceFile, successor: SourceFile, what: str, quarantine: Quarantine) -> None:
    """Leave a member out under a name of its own, since its path is its successor's; an equal one is no loss."""
    same = filecmp.cmp(file.stored, successor.stored, shallow=False)
    reason = f"replaced by {what}, {'and equal to it' if same else 'with other content'}"
    quarantine.leave_out(f"{file.archive}/{file.path}", "replaced_file", reason, deliberate=same)
    file.stored.unlink()


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
