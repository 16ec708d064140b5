"""What a training channel in Pipe mode brings: the objects of a prefix, or the attributes of an augmented manifest.

Follows CreateTrainingJob's Channel, S3DataSource and ShuffleConfig, and the developer guide's page "Augmented Manifest
File Format for Pipe Mode Training". With RecordWrapperType RecordIO each object and each attribute is one record;
without it their bytes follow one another.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dropspot.recordio import frame
from dropspot_local.sagemaker import staging
from dropspot_local.sagemaker.staging import S3Location, StagingError
from dropspot_local.sagemaker.state import Record

REFERENCE = "-ref"
"""The end of an attribute's name that makes its value the URI of an object."""
Entry = tuple[S3Location | bytes, ...]
"""What stays together when a channel is shuffled: one object, or what a line of a manifest gives."""


@dataclass(frozen=True, slots=True)
class ChannelStream:
    """The data of one channel, read from S3 anew for every epoch."""

    client: Any
    name: str
    entries: Sequence[Entry]
    wrapped: bool = False
    seed: int | None = None

    def epoch(self, number: int) -> Iterator[bytes]:
        """The bytes of an epoch, piece by piece; StagingError where an object can't be had or be framed."""
        entries = list(self.entries)
        if self.seed is not None:
            random.Random(f"{self.seed} {number}").shuffle(entries)  # noqa: S311 - an order, not a secret
        for entry in entries:
            for value in entry:
                yield from self._pieces(value)

    def _pieces(self, value: S3Location | bytes) -> Iterator[bytes]:
        pieces = iter([value]) if isinstance(value, bytes) else staging.read_object(self.client, value)
        if not self.wrapped:
            yield from pieces
            return
        try:
            yield frame(b"".join(pieces))
        except ValueError as error:
            uri = value.uri if isinstance(value, S3Location) else "an attribute"
            raise StagingError(f"ClientError: Data download failed:{error}, in {uri} of channel {self.name}") from error


def channel_stream(client: Any, channel: Record, share: slice = staging.EVERYTHING) -> ChannelStream:
    """The stream of a channel as CreateTrainingJob has it; StagingError when there is nothing to stream.

    `share` picks a part of its objects, or of its manifest's lines.
    """
    source = channel["DataSource"]["S3DataSource"]
    if source["S3DataType"] == "AugmentedManifestFile":
        entries = manifest_entries(client, source["S3Uri"], source["AttributeNames"])
    else:
        prefix = S3Location.parse(source["S3Uri"])
        entries = [(S3Location(prefix.bucket, key),) for key in staging.find_keys(client, prefix)]
    return ChannelStream(
        client,
        channel["ChannelName"],
        entries[share],
        wrapped=channel.get("RecordWrapperType") == "RecordIO",
        seed=channel.get("ShuffleConfig", {}).get("Seed"),
    )


def manifest_entries(client: Any, uri: str, attributes: Sequence[str]) -> list[Entry]:
    """What the lines of an augmented manifest give, in order; StagingError names a line that can't be used."""
    body = b"".join(staging.read_object(client, S3Location.parse(uri)))
    entries = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            entries.append(_entry(line, attributes))
        except ValueError as error:
            raise StagingError(
                f"ClientError: Data download failed:line {number} of the augmented manifest {uri} {error}"
            ) from error
    if not entries:
        raise StagingError(f"ClientError: Data download failed:the augmented manifest {uri} has no line")
    return entries


def _entry(line: bytes, attributes: Sequence[str]) -> Entry:
    """One line's values in the attributes' order; ValueError says what is wrong with the line."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("is no JSON object")
    if missing := [name for name in attributes if name not in document]:
        raise ValueError(f"has no attribute {missing[0]}")
    return tuple(_value(name, document[name]) for name in attributes)


def _value(name: str, value: Any) -> S3Location | bytes:
    if name.endswith(REFERENCE):
        try:
            return S3Location.parse(str(value))
        except StagingError:
            raise ValueError(f"has {value!r} as {name}, which isn't an S3 URI") from None
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return text.encode("utf-8")
