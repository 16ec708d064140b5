"""What to upload where, and what of it is there already."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dropspot import aws
from dropspot.datasets import StoredObject, prefix_of
from dropspot.errors import InvalidInputError

IMAGES = "images/"
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_PART = 8 * 1024 * 1024  # bytes; both the threshold and the part size of the SDK's uploads, and so of their ETags


@dataclass(frozen=True, slots=True)
class Upload:
    """One file and the key that it gets."""

    path: Path
    key: str
    size: int


def dataset_name(sources: list[Path]) -> str:
    """Return the data set's name where none is given: the folder's, or the only archive's without its suffix."""
    first = sources[0].resolve()
    if first.is_dir():
        return first.name
    if len(sources) > 1:
        return first.parent.name
    suffix = next((suffix for suffix in ARCHIVES if first.name.lower().endswith(suffix)), first.suffix)
    return first.name[: -len(suffix)] if suffix else first.name


def dataset_uploads(sources: list[Path], name: str) -> list[Upload]:
    """Return the uploads of a data set: a folder's files with their paths in it, or archives by their names."""
    if not name or "/" in name or name in {".", ".."}:
        raise InvalidInputError(f"{name!r} can't be a data set's name: choose one without a slash with --name.")
    return _uploads(sources, prefix_of(name))


def image_uploads(sources: list[Path], below: str = "") -> list[Upload]:
    """Return the uploads of images to look at; `below` is a sub-path of images/."""
    folder = f"{below.strip('/')}/" if below.strip("/") else ""
    return _uploads(sources, f"{IMAGES}{folder}")


def _uploads(sources: list[Path], prefix: str) -> list[Upload]:
    found = []
    for source in sources:
        if source.is_dir():
            files = sorted(path for path in source.rglob("*") if path.is_file())
            # what a desktop or git hides in a folder was never meant as data
            shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(source).parts)]
            found += [Upload(path, prefix + path.relative_to(source).as_posix(), path.stat().st_size) for path in shown]
        elif source.is_file():
            found.append(Upload(source, prefix + source.name, source.stat().st_size))
        else:
            raise InvalidInputError(f"{source} does not exist.")
    if not found:
        raise InvalidInputError(f"{', '.join(map(str, sources))} holds no files.")
    keys = [upload.key for upload in found]
    twice = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
    if twice:
        raise InvalidInputError(f"Two files would get the same key {twice[0]}: give their common folder instead.")
    return found


def etag(path: Path) -> str:
    """Return the ETag that S3 gives the file as this command uploads it (without a customer's key)."""
    with path.open("rb") as file:
        sums = [hashlib.md5(part, usedforsecurity=False) for part in iter(lambda: file.read(_PART), b"")]
    if path.stat().st_size < _PART:
        return sums[0].hexdigest() if sums else hashlib.md5(b"", usedforsecurity=False).hexdigest()
    return f"{hashlib.md5(b''.join(one.digest() for one in sums), usedforsecurity=False).hexdigest()}-{len(sums)}"


def missing(uploads: Iterable[Upload], present: Mapping[str, StoredObject]) -> list[Upload]:
    """Return the uploads whose bytes aren't under their key already."""

    def is_there(upload: Upload) -> bool:
        stored = present.get(upload.key)
        return stored is not None and stored.size == upload.size and stored.etag == etag(upload.path)

    return [upload for upload in uploads if not is_there(upload)]


def send(bucket: str, uploads: list[Upload], progress: Callable[[int], None] = lambda _: None) -> None:
    """Upload the files, several at a time; `progress` is told of every lot of bytes that has gone."""
    s3 = aws.client("s3")

    def one(upload: Upload) -> None:
        s3.upload_file(str(upload.path), bucket, upload.key, Callback=progress)

    pool = ThreadPoolExecutor(max_workers=4)
    try:
        for done in [pool.submit(one, upload) for upload in uploads]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure or Ctrl-C nothing more is begun


def delete(bucket: str, keys: list[str]) -> None:
    """Delete these objects."""
    for start in range(0, len(keys), 1000):
        batch = [{"Key": key} for key in keys[start : start + 1000]]
        aws.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
