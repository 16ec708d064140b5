"""Channels of RecordIO files: content type application/x-recordio in File and FastFile mode."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from detector.channels.examples import MAX_UNUSABLE_SHARE, Entries, Example, Unusable
from detector.recordio import LabelError, parse_record
from dropspot.errors import InvalidInputError
from dropspot.recordio import FramingError, read_payload


def record_files(folder: Path) -> list[Path]:
    """Return a channel's RecordIO files in the order of their names, without folders and hidden files."""
    return sorted(path for path in folder.glob("**/*.rec") if path.is_file() and not path.name.startswith("."))


def read_record_files(folder: Path) -> Entries:
    """Yield the records of the channel's .rec files in the order of the files' names.

    A file is read up to where its framing breaks. Raises InvalidInputError where there is no such file or no record,
    and where more of a file than may be left out lies behind such a place: how many records that was can't be known.
    """
    files = record_files(folder)
    if not files:
        raise InvalidInputError(f"channel {folder.name} has no .rec file")
    number = 0
    for file in files:
        with file.open("rb") as stream:
            while True:
                offset = stream.tell()
                name = f"record {number}"
                try:
                    payload = read_payload(stream)
                except FramingError as error:
                    lost = 1 - offset / file.stat().st_size
                    if lost > MAX_UNUSABLE_SHARE:
                        raise InvalidInputError(
                            f"channel {folder.name}: {file.name} cannot be read from byte {offset:,} on, which is"
                            f" {lost:.0%} of it, because {error}"
                        ) from error
                    yield Unusable(name, str(error))
                    number += 1
                    break
                if payload is None:
                    break
                yield record_entry(name, payload, partial(_picture_at, file, offset))
                number += 1
    if number == 0:
        raise InvalidInputError(
            f"channel {folder.name} is empty: no record in {', '.join(file.name for file in files)}"
        )


def record_entry(name: str, payload: bytes, stored: Callable[[], bytes] | None) -> Example | Unusable:
    """Return the example in a record's payload."""
    try:
        record = parse_record(payload)
    except LabelError as error:
        return Unusable(name, str(error))
    return Example(name, record.labels, record.label_width, record.picture, stored)


def _picture_at(file: Path, offset: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(offset)
        return parse_record(read_payload(stream) or b"").picture
