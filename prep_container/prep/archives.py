"""Members of .tar, .tar.gz, .tgz and .zip archives, streamed in one pass and never trusted.

Nothing is written here and no member's name ever becomes a path on disk: the caller decides what to keep and where.
An archive that is damaged, encrypted or a bomb raises InvalidInputError with its name; a member that is a link, a
device or points out of the folder is handed over as refused, so that it can be reported while the rest is used.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from dropspot.errors import InvalidInputError

MAX_TOTAL_BYTES = 200 << 30
MAX_MEMBERS = 5_000_000
MAX_RATIO = 250  # unpacked to packed; real annotations stay below 100, pictures near 1
RATIO_FREE_BYTES = 64 << 20  # small archives may compress as well as they like
_ZIP_SIGNATURES = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")  # a tar's first member may be called PK as well
_MAX_TAR_NAME_BYTES = 1 << 20
_TAR_NAME_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class Readable(Protocol):
    """The one thing a member's content can do: be read forward."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive: either readable once, now, through `content`, or `refused` with a reason."""

    path: str
    content: Readable | None = None
    refused: str = ""


class Allowance:
    """What all archives of a data set together may unpack to; counted while reading, whatever headers claim."""

    def __init__(self, max_total_bytes: int = MAX_TOTAL_BYTES, max_members: int = MAX_MEMBERS) -> None:
        self._max_total_bytes = max_total_bytes
        self._max_members = max_members
        self._bytes = 0
        self._members = 0

    def member(self, archive: str) -> None:
        self._members += 1
        if self._members > self._max_members:
            raise InvalidInputError(f"archive {archive} was refused: more than {self._max_members:,} members")

    def read(self, archive: str, count: int, from_archive: int, packed: int) -> None:
        """Account for `count` bytes; `from_archive` is the sum so far for this archive of `packed` bytes."""
        self._bytes += count
        if self._bytes > self._max_total_bytes:
            raise InvalidInputError(
                f"archive {archive} was refused: the data set unpacks to more than {self._max_total_bytes >> 20:,} MiB"
            )
        if from_archive > RATIO_FREE_BYTES and from_archive > MAX_RATIO * packed:
            raise InvalidInputError(
                f"archive {archive} was refused: it unpacks to more than {MAX_RATIO} times its own size"
            )


class _Meter:
    """Counts what one archive unpacks to."""

    def __init__(self, archive: Path, name: str, allowance: Allowance) -> None:
        self.name = name
        self._packed = archive.stat().st_size
        self._allowance = allowance
        self._bytes = 0

    def count(self, size: int) -> None:
        self._bytes += size
        self._allowance.read(self.name, size, self._bytes, self._packed)


class _Counted:
    """The bytes of one member, each of them charged to the allowance."""

    def __init__(self, source: Readable, meter: _Meter) -> None:
        self._source = source
        self._meter = meter

    def read(self, size: int = -1, /) -> bytes:
        with _damage_named(self._meter.name):
            data = self._source.read(size)
        self._meter.count(len(data))
        return data


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Turn whatever the standard library's readers raise on damaged bytes into one sentence about the archive."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:  # zipfile: a compression it does not know; encryption
        raise InvalidInputError(f"archive {name} cannot be read: {_reason(error)}") from error
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        ValueError,
        OverflowError,
    ) as error:
        raise InvalidInputError(f"archive {name} cannot be read, upload it again: {_reason(error)}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # the disk's trouble, not the archive's
            raise
        raise InvalidInputError(f"archive {name} cannot be read, upload it again: it points outside itself") from error


def _reason(error: Exception) -> str:
    """What the reader says; zipfile repeats whole names, which damaged bytes can make very long."""
    text = str(error) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"


def members(archive: Path, name: str, allowance: Allowance) -> Iterator[Member]:
    """Every member of the archive but its folders, in stored order. Read each one's content before asking for the next.

    `name` is what error messages call the archive. The kind of archive is told from the content, not from the name.
    """
    meter = _Meter(archive, name, allowance)
    with archive.open("rb") as raw:
        start = raw.read(4)
    found = (
        _zip_members(archive) if start in _ZIP_SIGNATURES else _tar_members(archive, gzipped=start[:2] == b"\x1f\x8b")
    )
    with closing(found):
        while True:
            with _damage_named(name):
                member = next(found, None)
            if member is None:
                return
            allowance.member(name)
            yield member if member.content is None else Member(member.path, _Counted(member.content, meter))


def _checked(path: str, refused: str) -> Member | None:
    """A refused member, or None where the path and kind are fine."""
    if path.startswith("/") or ".." in path.split("/") or (len(path) > 1 and path[1] == ":"):
        return Member(path, refused="its name leaves the data set's folder")
    if not path:
        return Member("?", refused="it has no name")
    if "\0" in path:
        return Member(path.replace("\0", "?"), refused="its name holds a zero byte")
    return Member(path, refused=refused) if refused else None


def _normal(path: str) -> str:
    """The path without empty and "." parts, keeping a leading "/" and any ".." for the check."""
    path = path.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _zip_members(archive: Path) -> Generator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.filename and info.is_dir():  # which zipfile can't say of a member without a name
                continue
            mode = info.external_attr >> 16
            special = stat.S_IFMT(mode) not in (0, stat.S_IFREG)
            path = _normal(info.filename)
            refused = _checked(path, "it is a link or a device" if special else "")
            if refused:
                yield refused
                continue
            with opened.open(info) as content:
                yield Member(path, content)


class _StrictTarInfo(tarfile.TarInfo):
    """Turns what tarfile takes for the end of the archive into an error, unless it is the end mark itself.

    Left alone, tarfile stops in silence at a damaged header or a missing end, and every file behind it is lost.
    """

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or incomplete at byte {tarfile_.offset:,}") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _TAR_NAME_TYPES and info.size > _MAX_TAR_NAME_BYTES:  # tarfile would read it into memory
            raise tarfile.ReadError(f"a header of {info.size:,} bytes")
        return info


def _tar_members(archive: Path, *, gzipped: bool) -> Generator[Member]:
    opener = gzip.open if gzipped else open
    with opener(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictTarInfo) as opened:
        for info in opened:
            # tarfile remembers every member it has seen; in a stream that is only a leak.
            opened.members = []  # type: ignore[attr-defined]
            if info.isdir():
                continue
            path = _normal(info.name)
            plain = info.isreg() and not info.issparse()
            refused = _checked(path, "" if plain else "it is a link, a device or a sparse file")
            if refused:
                yield refused
                continue
            content = opened.extractfile(info)
            if content is None:
                raise tarfile.ReadError(f"member {info.name} has no content")
            yield Member(path, content)
        if gzipped:
            while stream.read(1 << 20):  # what follows the end mark still counts for the checksum
                pass
