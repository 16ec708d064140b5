"""Channels of RecordIO files: content type application/x-recordio in File and FastFile mode."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from detector.channels.examples import MAX_UNUSABLE_SHARE, Entries, Example, Unusable
from detector.recordio import LabelError, parse_record
from dropspot.errors import InvalidInputError
from dropspot.recordio import FramingError, read_payload, seek_record


def record_files(folder: Path) -> list[Path]:
    """Return a channel's RecordIO files in the order of their names, without folders and hidden files."""
    return sorted(path for path in folder.glob("**/*.rec") if path.is_file() and not path.name.startswith("."))


def read_record_files(folder: Path) -> Entries:
    """Yield the records of the channel's .rec files in the order of the files' names.

    Where a file's framing breaks, it is read on from the next record. Raises InvalidInputError where there is no such
    file or no record, and where more of a file than may be left out was passed over: how many records that was can't be
    known.
    """
    files = record_files(folder)
    if not files:
        raise InvalidInputError(f"channel {folder.name} has no .rec file")
    number = 0
    for file in files:
        most_lost, lost = MAX_UNUSABLE_SHARE * file.stat().st_size, 0
        with file.open("rb") as stream:
            while True:
                offset = stream.tell()
                name = f"record {number}"
                try:
                    payload = read_payload(stream)
                except FramingError as error:
                    behind = seek_record(stream, offset + 1)
                    lost += behind - offset
                    if lost > most_lost:
                        raise InvalidInputError(
                            f"channel {folder.name}: {file.name} cannot be read from byte {offset:,} to {behind:,},"
                            f" because {error}; more than {MAX_UNUSABLE_SHARE:.0%} of it is lost"
                        ) from error
                    yield Unusable(name, str(error))
                    number += 1
                    continue
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
