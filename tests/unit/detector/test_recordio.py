"""Reading records: the format itself, prep_container's writer, and files that are broken."""

import io
import struct

import numpy as np
import pytest

from detector.recordio import LabelError, Record, parse_record
from dropspot.recordio import MAGIC, FramingError, frame, read_payload
from prep.recordio import packed_label


def part(flag: int, body: bytes) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | len(body)) + body + b"\0" * (-len(body) % 4)


def payload(picture: bytes, *boxes: tuple[float, ...], header: tuple[float, ...] = (2, 5)) -> bytes:
    values = [*header, *(value for box in boxes for value in box)]
    return struct.pack("<IfQQ", len(values), 0, 7, 0) + struct.pack(f"<{len(values)}f", *values) + picture


BOX = (1, 0.1, 0.2, 0.3, 0.4)


def outcomes(*parts: bytes) -> list[Record | FramingError | LabelError]:
    """Each record of a file, or the error in its place, up to where the framing breaks."""
    stream = io.BytesIO(b"".join(parts))
    found: list[Record | FramingError | LabelError] = []
    while True:
        try:
            payload = read_payload(stream)
            if payload is None:
                return found
            found.append(parse_record(payload))
        except LabelError as error:
            found.append(error)
        except FramingError as error:
            return [*found, error]


def test_a_record_is_labels_and_picture() -> None:
    (record,) = outcomes(part(0, payload(b"picture", BOX)))
    assert isinstance(record, Record)
    assert record.picture == b"picture"
    np.testing.assert_allclose(record.labels, [BOX])


def test_a_payload_cut_at_the_magic_word_is_put_together_again() -> None:
    whole = payload(b"ab" + b"cd" + MAGIC + b"efgh" + MAGIC + MAGIC + b"i", BOX)
    pieces = whole.split(MAGIC)
    flags = [1, *[2] * (len(pieces) - 2), 3]
    (record,) = outcomes(*(part(f, p) for f, p in zip(flags, pieces, strict=True)))
    assert isinstance(record, Record)
    assert record.picture == b"abcd" + MAGIC + b"efgh" + MAGIC + MAGIC + b"i"


def test_wider_headers_and_objects_are_understood() -> None:
    record = parse_record(payload(b"x", (*BOX, 9.0), header=(4, 6, 300, 200)))
    np.testing.assert_allclose(record.labels, [BOX])


def test_a_record_with_a_senseless_label_stands_for_itself_alone() -> None:
    found = outcomes(part(0, payload(b"x", (1.0, 2.0))), part(0, payload(b"y", BOX)))
    assert isinstance(found[0], LabelError)
    assert isinstance(found[1], Record)


@pytest.mark.parametrize("cut", [3, 9, 30])
def test_a_file_that_ends_within_a_record_ends_the_reading(cut: int) -> None:
    data = part(0, payload(b"one", BOX)) + part(0, payload(b"two", BOX))[:cut]
    found = outcomes(data)
    assert isinstance(found[0], Record)
    assert isinstance(found[1], FramingError)
    assert len(found) == 2


def test_another_kind_of_file_is_not_read() -> None:
    (outcome,) = outcomes(b"PK\3\4 an archive, not records")
    assert isinstance(outcome, FramingError)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_label_that_is_no_number_is_refused(number: float) -> None:
    with pytest.raises(LabelError, match="not a finite number"):
        parse_record(payload(b"x", (1, number, 0, 1, 1)))
    with pytest.raises(LabelError, match="not a finite number"):
        parse_record(payload(b"x", BOX, header=(2, number)))


def test_a_class_id_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(LabelError, match=r"class id 1\.5, which is no whole number"):
        parse_record(payload(b"x", BOX, (1.5, 0, 0, 1, 1)))


def test_the_width_of_a_label_counts_its_header() -> None:
    assert parse_record(payload(b"x", BOX, BOX)).label_width == 12
    assert parse_record(payload(b"x", (*BOX, 9.0), header=(4, 6, 300, 200))).label_width == 10


@pytest.mark.parametrize("picture", [b"", b"x", MAGIC, b"abcd" + MAGIC * 3 + b"e", b"abc" + MAGIC])
def test_what_preparation_writes_is_what_training_reads(picture: bytes) -> None:
    first = frame(packed_label(3, [2, 5, *BOX]) + picture)
    (record, again) = outcomes(first, first)
    assert isinstance(record, Record)
    assert isinstance(again, Record)
    assert record.picture == again.picture == picture
    np.testing.assert_allclose(record.labels, [BOX])
