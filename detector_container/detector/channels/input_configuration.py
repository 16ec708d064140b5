"""Which format each channel has: inputdataconfig.json's answer, or the folders' own where there is no such file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from detector.channels.image_files import annotation_folder, pictures_in
from detector.channels.record_files import record_files
from dropspot.errors import InvalidInputError

SIDES = ("train", "validation")
_WEIGHTS = ("model", "pretrained")  # channels of whole files
RECORDIO_TYPE = "application/x-recordio"
IMAGE_TYPES = ("image/jpeg", "image/png", "application/x-image")
_MODES = ("File", "FastFile", "Pipe")  # SageMaker writes File for FastFile too; both are folders
_WRAPPERS = ("None", "RecordIO")


class ChannelFormat(Enum):
    """How a channel's pictures and boxes reach the training."""

    RECORD_FILES = "RecordIO files in a folder"
    IMAGE_FILES = "pictures in a folder, their annotations in another"
    PIPED_RECORDS = "RecordIO files through a named pipe"
    PIPED_ATTRIBUTES = "an augmented manifest's attributes through a named pipe, each in a record"


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel as inputdataconfig.json describes it; an empty content type is one that nobody stated."""

    name: str
    content_type: str
    mode: str
    wrapper: str

    @property
    def piped(self) -> bool:
        return self.mode == "Pipe"


def sharded_sides(path: Path) -> frozenset[str]:
    """Return which of the channels train and validation are divided over a job's hosts; each host has all of others.

    The file is one that `channel_formats` has read without an error.
    """
    document = json.loads(path.read_bytes()) if path.is_file() else {}
    return frozenset(side for side in SIDES if document.get(side, {}).get("S3DistributionType") == "ShardedByS3Key")


def channel_formats(path: Path) -> dict[str, ChannelFormat | None]:
    """Return the formats of the channels train and validation; None leaves one to its folder (see `format_in`).

    Raises InvalidInputError for a channel that the job hasn't got, and for a combination of content type, input mode
    and record wrapper that the algorithm doesn't read. Of the channels of weights the input mode alone is looked at,
    of others nothing.
    """
    if not path.is_file():
        return dict.fromkeys(SIDES)
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(value, dict) for value in document.values()):
        raise InvalidInputError(f"{path.name} is not an object of channels")
    for name in _WEIGHTS:
        if document.get(name, {}).get("TrainingInputMode") == "Pipe":
            raise InvalidInputError(f"channel {name} has input mode Pipe: state File for it")
    formats = {side: _format(_channel(document, side), document) for side in SIDES}
    types = {side: _channel(document, side).content_type for side in SIDES}
    if len(set(types.values()) - {""}) > 1:
        stated = ", ".join(f"{side} has {content_type}" for side, content_type in types.items())
        raise InvalidInputError(f"the channels must have one content type: {stated}")
    return formats


def format_in(folder: Path) -> ChannelFormat:
    """Return the format of the files in a channel's folder; raise InvalidInputError where there is none to read."""
    if record_files(folder):
        return ChannelFormat.RECORD_FILES
    documents = annotation_folder(folder)
    if not pictures_in(folder):
        raise InvalidInputError(f"channel {folder.name} has no .rec file and no picture")
    if not documents.is_dir():
        raise InvalidInputError(
            f"channel {folder.name} has no .rec file, and no channel {documents.name} says what its pictures show"
        )
    return ChannelFormat.IMAGE_FILES


def _channel(document: Mapping[str, Any], name: str) -> _Channel:
    if name not in document:
        present = ", ".join(sorted(document)) or "none"
        raise InvalidInputError(f"channel {name} is missing; the job's channels: {present}")
    values = document[name]
    content_type = str(values.get("ContentType") or "").split(";")[0].strip().lower()
    mode = str(values.get("TrainingInputMode") or "File")
    wrapper = str(values.get("RecordWrapperType") or "None")
    _known("content type", content_type, ("", RECORDIO_TYPE, *IMAGE_TYPES), name)
    _known("input mode", mode, _MODES, name)
    _known("record wrapper", wrapper, _WRAPPERS, name)
    return _Channel(name, content_type, mode, wrapper)


def _known(what: str, value: str, possible: tuple[str, ...], name: str) -> None:
    if value not in possible:
        choices = ", ".join(filter(None, possible))
        raise InvalidInputError(f"channel {name} has {what} {value[:80]!r}; there are {choices}")


def _format(channel: _Channel, document: Mapping[str, Any]) -> ChannelFormat | None:
    images = channel.content_type in IMAGE_TYPES
    if channel.piped:
        if channel.wrapper == "RecordIO":
            return ChannelFormat.PIPED_ATTRIBUTES
        if images:
            raise InvalidInputError(
                f"channel {channel.name} has content type {channel.content_type} in input mode Pipe without"
                " RecordWrapperType RecordIO: pictures come through a pipe as an augmented manifest, wrapped"
            )
        return ChannelFormat.PIPED_RECORDS
    if channel.wrapper != "None":
        raise InvalidInputError(
            f"channel {channel.name} has RecordWrapperType {channel.wrapper} in input mode {channel.mode}: only in Pipe"
            " mode is anything wrapped"
        )
    if not images:
        return ChannelFormat.RECORD_FILES if channel.content_type else None
    annotations = _channel(document, f"{channel.name}_annotation")
    if annotations.piped:
        raise InvalidInputError(f"channel {annotations.name} has input mode Pipe, its pictures in {channel.name} File")
    if annotations.content_type not in ("", channel.content_type):
        raise InvalidInputError(
            f"channel {annotations.name} has content type {annotations.content_type}, channel {channel.name}"
            f" {channel.content_type}: they must have the same"
        )
    return ChannelFormat.IMAGE_FILES
