"""Downloading published data sets: resumed where it was interrupted, checked for size and integrity."""

import http.client
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from dropspot.errors import TransientError
from dropspot_cli.console import counted
from dropspot_cli.pushing import transfer_bar

OXFORD_PETS = "oxford-pets"
# O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar: Cats and Dogs (CVPR 2012); pictures CC BY-SA 4.0
_OXFORD_PETS_URLS = tuple(
    f"https://www.robots.ox.ac.uk/~vgg/data/pets/data/{name}" for name in ("images.tar.gz", "annotations.tar.gz")
)
_CHUNK = 256 * 1024
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """Where the server's bytes begin in the file, and how long the file is; None where the server doesn't say."""

    start: int
    total: int | None
    validator: str


def download_oxford_pets(folder: Path, console: Console) -> list[Path]:
    """Return the data set's two archives below `folder`, downloaded where they aren't there yet."""
    paths = []
    for url in _OXFORD_PETS_URLS:
        path = folder / url.rsplit("/", 1)[1]
        if not path.exists():
            with transfer_bar(console) as bar:
                task = bar.add_task(path.name, total=None)
                download(url, path, partial(_show, bar, task))
            members = check_archive(path)
            console.print(f"[green]✓[/] {path.name}: {path.stat().st_size / 1e6:.0f} MB, {counted(members, 'file')}")
        paths.append(path)
    return paths


def _show(bar: Progress, task: TaskID, done: int, total: int | None) -> None:
    bar.update(task, completed=done, total=total)


def download(url: str, path: Path, progress: Callable[[int, int | None], None] = lambda _done, _total: None) -> None:
    """Fetch the file; what an interrupted attempt left in `<path>.part` counts while the server's file is the same.

    `progress` is told the bytes that are there and the file's size. Raises TransientError, one sentence, where the
    server can't be reached or sends less than it promised; the next attempt goes on from there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, stamp = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part-version")
    have = part.stat().st_size if part.exists() and stamp.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "dropspot"})  # noqa: S310 - the addresses are our own
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", stamp.read_text(encoding="ascii"))
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            answer = _answer(response)
            if answer.validator:
                stamp.write_text(answer.validator, encoding="ascii")
            else:  # nothing would tell whether a later rest belongs to this beginning
                stamp.unlink(missing_ok=True)
            size = _append(response, part, answer, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # the part is longer than the file: it isn't this file's
            part.unlink()
            download(url, path, progress)
            return
        raise TransientError(f"{url} answered {error.code} {error.reason}: try again later.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise TransientError(
            f"{url} can't be downloaded ({reason}): check the network and run the same command again,"
            " it goes on where it stopped."
        ) from error
    if answer.total is not None and size != answer.total:
        raise TransientError(
            f"{url} sent {size} of {answer.total} bytes: run the same command again, it goes on where it stopped."
        )
    part.replace(path)
    stamp.unlink(missing_ok=True)


def _answer(response: http.client.HTTPResponse) -> _Answer:
    # a weak ETag can't be used for a range
    etag = response.headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    length = response.headers.get("Content-Length")
    if response.status != 206:
        return _Answer(0, int(length) if length else None, validator)
    first, _, rest = response.headers["Content-Range"].removeprefix("bytes ").partition("-")
    total = rest.rpartition("/")[2]
    return _Answer(int(first), None if total == "*" else int(total), validator)


def _append(
    response: http.client.HTTPResponse, part: Path, answer: _Answer, progress: Callable[[int, int | None], None]
) -> int:
    """Write the body behind the bytes that are there and return the size that this makes."""
    with part.open("r+b" if answer.start else "wb") as file:
        file.seek(answer.start)
        file.truncate()
        size = answer.start
        progress(size, answer.total)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            size += len(chunk)
            progress(size, answer.total)
    return size


def check_archive(path: Path) -> int:
    """Read the tar archive to its end and return its number of files; remove a broken one and raise TransientError."""
    try:
        with tarfile.open(path) as archive:
            return sum(member.isfile() for member in archive)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        path.unlink()
        raise TransientError(
            f"{path.name} arrived damaged ({error}) and was removed: run the same command again."
        ) from error
