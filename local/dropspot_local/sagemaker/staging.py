"""Between S3 and a container's folders: inputs down, outputs up, archives in and out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from botocore.exceptions import ClientError

PARALLEL_TRANSFERS = 8
READ_BYTES = 1 << 20
EVERYTHING = slice(None)


class StagingError(Exception):
    """Data could not be brought in or out; the text is fit for a FailureReason."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """The bucket and key (or key prefix) of an s3:// URI."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """From `s3://bucket/key`; StagingError for anything else."""
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise StagingError(f"ClientError: {uri} isn't an S3 URI")
        return cls(bucket, key)

    def join(self, relative: str) -> S3Location:
        """The location below this prefix."""
        return S3Location(self.bucket, f"{self.key.rstrip('/')}/{relative}".lstrip("/"))

    @property
    def uri(self) -> str:
        """As s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}"


def list_keys(client: Any, prefix: S3Location) -> Iterator[str]:
    """Keys that begin with the prefix, in S3's order, folder markers left out."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key):
        for item in page.get("Contents", []):
            if not (item["Key"].endswith("/") and item["Size"] == 0):
                yield item["Key"]


def relative_name(prefix: str, key: str) -> str:
    """A key's path below its prefix; a prefix need not end at a slash, and may be the key itself."""
    if key.startswith(prefix.rstrip("/") + "/") and prefix:
        return key[len(prefix.rstrip("/")) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def find_keys(client: Any, prefix: S3Location) -> list[str]:
    """Keys that begin with the prefix, as `list_keys`; StagingError when they can't be listed or there is none."""
    try:
        keys = list(list_keys(client, prefix))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise StagingError(f"ClientError: Data download failed:{code} listing {prefix.uri}") from error
    if not keys:
        raise StagingError(
            f'ClientError: Data download failed:No S3 objects found under S3 URL "{prefix.uri}" given in input data '
            "source. Please ensure that the bucket exists in the selected region, that objects exist under that S3 "
            f'prefix, and that the role has "s3:ListBucket" permissions on bucket "{prefix.bucket}".'
        )
    return keys


def download_prefix(client: Any, uri: str, folder: Path, share: slice = EVERYTHING) -> int:
    """Bring every object below an S3 prefix into the folder, keeping relative paths. Returns how many there were.

    `share` picks a part of them, in S3's order.
    """
    prefix = S3Location.parse(uri)
    keys = find_keys(client, prefix)[share]
    folder.mkdir(parents=True, exist_ok=True)
    return _download(client, prefix.bucket, {key: _inside(folder, relative_name(prefix.key, key)) for key in keys})


def read_object(client: Any, source: S3Location) -> Iterator[bytes]:
    """The bytes of one object, piece by piece; StagingError when it isn't there or may not be read."""
    try:
        body = client.get_object(Bucket=source.bucket, Key=source.key)["Body"]
        with contextlib.closing(body):
            yield from body.iter_chunks(READ_BYTES)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise StagingError(f"ClientError: Data download failed:{code} for {source.uri}") from error


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a ManifestFile lists: what follows `start` in the URI of each object."""

    start: S3Location
    names: list[str]

    def key(self, name: str) -> str:
        """The key of one of the listed objects."""
        return self.start.key + name


def read_manifest(client: Any, uri: str) -> Manifest:
    """The manifest under the URI: `[{"prefix": "s3://bucket/some/prefix/"}, "what/follows/it", ...]`; StagingError."""
    try:
        entries = json.loads(b"".join(read_object(client, S3Location.parse(uri))))
    except ValueError as error:
        raise StagingError(f"ClientError: Data download failed:the manifest {uri} is no JSON: {error}") from error
    match entries:
        case [{"prefix": str(prefix)}, *names] if names and all(isinstance(name, str) for name in names):
            return Manifest(S3Location.parse(prefix), names)
    raise StagingError(
        f"ClientError: Data download failed:the manifest {uri} must be a JSON array of a prefix, as "
        '{"prefix": "s3://bucket/some/prefix/"}, and one or more suffixes'
    )


def download_manifest(client: Any, uri: str, folder: Path) -> int:
    """Bring every object that a ManifestFile lists into the folder, each to the path that it has after the prefix.

    Returns how many objects there were.
    """
    manifest = read_manifest(client, uri)
    folder.mkdir(parents=True, exist_ok=True)
    targets = {manifest.key(name): _inside(folder, name) for name in manifest.names}
    return _download(client, manifest.start.bucket, targets)


def _download(client: Any, bucket: str, targets: Mapping[str, Path]) -> int:
    """Bring objects in, each key to its target; returns how many."""

    def fetch(item: tuple[str, Path]) -> None:
        key, target = item
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, key, str(target))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise StagingError(f"ClientError: Data download failed:{code} for s3://{bucket}/{key}") from error
        except OSError as error:  # one key is also the folder of another, or a name is too long
            reason = f"{error.strerror} for s3://{bucket}/{key}"
            raise StagingError(f"ClientError: Data download failed:{reason}") from error

    with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
        list(pool.map(fetch, targets.items()))
    return len(targets)


def download_file(client: Any, source: S3Location, target: Path) -> None:
    """Bring one object in; StagingError when it isn't there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        client.download_file(source.bucket, source.key, str(target))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise StagingError(f"ClientError: Data download failed:{code} for {source.uri}") from error


def upload_folder(client: Any, folder: Path, uri: str) -> int:
    """Send every file below the folder to an S3 prefix. Links aren't followed: SageMaker doesn't upload them."""
    return upload_files(client, folder, list(files(folder)), uri)


def upload_files(client: Any, folder: Path, chosen: Sequence[Path], uri: str) -> int:
    """Send these files of the folder to an S3 prefix. Returns how many there were."""
    prefix = S3Location.parse(uri)

    def send(file: Path) -> None:
        target = prefix.join(file.relative_to(folder).as_posix())
        upload_file(client, file, target.uri)

    with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
        list(pool.map(send, chosen))
    return len(chosen)


def upload_file(client: Any, file: Path, uri: str) -> None:
    """Send one file."""
    target = S3Location.parse(uri)
    try:
        client.upload_file(str(file), target.bucket, target.key)
    except Exception as error:  # boto3 wraps the ClientError in an error of its own that has no code
        cause = error.__cause__ or error.__context__
        code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else str(error)
        raise StagingError(f"ClientError: Data upload failed:{code} for {uri}") from error


def pack(folders: Sequence[Path], archive: Path) -> bool:
    """Make one .tar.gz of what is in the folders. False, and no archive, when there is nothing.

    Where names clash, which the service forbids, the last folder's is what unpacking leaves.
    """
    entries = [entry for folder in folders if folder.is_dir() for entry in sorted(folder.iterdir())]
    if not entries:
        return False
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # weights hardly compress: don't spend time on it
        for entry in entries:
            tar.add(entry, arcname=entry.name)
    return True


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz of files and folders; StagingError for a link, a device or a path that leads elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                target = _inside(folder, member.name)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.isfile() and (source := tar.extractfile(member)):
                    _write(source, target)
                else:
                    raise StagingError(f"ClientError: {member.name} in the archive is neither a file nor a folder")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise StagingError(f"ClientError: the archive could not be unpacked: {error}") from error


def _write(source: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _inside(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise StagingError(f"ClientError: the name {name!r} leads out of the container's folder")
    return folder / path


def files(folder: Path) -> Iterator[Path]:
    """Every file below the folder, links left out."""
    for directory, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not Path(directory, name).is_symlink())
        for name in sorted(files):
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                yield path
