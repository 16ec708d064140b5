"""Reading records: the format itself, prep_container's writer, and files that are broken."""

import struct
from pathlib import Path

import numpy as np
import pytest

from detector.recordio import CorruptRecordError, Record, parse_record, read_records
from prep.recordio import frame, pack

MAGIC = struct.pack("<I", 0xCED7230A)


def part(flag: int, body: bytes) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | len(body)) + body + b"\0" * (-len(body) % 4)


def payload(picture: bytes, *boxes: tuple[float, ...], header: tuple[float, ...] = (2, 5)) -> bytes:
    values = [*header, *(value for box in boxes for value in box)]
    return struct.pack("<IfQQ", len(values), 0, 7, 0) + struct.pack(f"<{len(values)}f", *values) + picture


BOX = (1, 0.1, 0.2, 0.3, 0.4)


def written(folder: Path, *parts: bytes) -> Path:
    path = folder / "train.rec"
    path.write_bytes(b"".join(parts))
    return path


def test_a_record_is_labels_and_picture(tmp_path: Path) -> None:
    (record,) = read_records(written(tmp_path, part(0, payload(b"picture", BOX))))
    assert isinstance(record, Record)
    assert record.picture == b"picture"
    np.testing.assert_allclose(record.labels, [BOX])


def test_a_payload_cut_at_the_magic_word_is_put_together_again(tmp_path: Path) -> None:
    whole = payload(b"ab" + b"cd" + MAGIC + b"efgh" + MAGIC + MAGIC + b"i", BOX)
    pieces = whole.split(MAGIC)
    flags = [1, *[2] * (len(pieces) - 2), 3]
    (record,) = read_records(written(tmp_path, *(part(f, p) for f, p in zip(flags, pieces, strict=True))))
    assert isinstance(record, Record)
    assert record.picture == b"abcd" + MAGIC + b"efgh" + MAGIC + MAGIC + b"i"


def test_wider_headers_and_objects_are_understood() -> None:
    record = parse_record(payload(b"x", (*BOX, 9.0), header=(4, 6, 300, 200)))
    np.testing.assert_allclose(record.labels, [BOX])


def test_a_record_with_a_senseless_label_stands_for_itself_alone(tmp_path: Path) -> None:
    outcomes = list(read_records(written(tmp_path, part(0, payload(b"x", (1.0, 2.0))), part(0, payload(b"y", BOX)))))
    assert isinstance(outcomes[0], CorruptRecordError)
    assert isinstance(outcomes[1], Record)


@pytest.mark.parametrize("cut", [3, 9, 30])
def test_a_file_that_ends_within_a_record_ends_the_reading(tmp_path: Path, cut: int) -> None:
    data = part(0, payload(b"one", BOX)) + part(0, payload(b"two", BOX))[:cut]
    outcomes = list(read_records(written(tmp_path, data)))
    assert isinstance(outcomes[0], Record)
    assert isinstance(outcomes[1], CorruptRecordError)
    assert len(outcomes) == 2


def test_another_kind_of_file_is_not_read(tmp_path: Path) -> None:
    (outcome,) = read_records(written(tmp_path, b"PK\3\4 an archive, not records"))
    assert isinstance(outcome, CorruptRecordError)


def test_a_label_that_is_no_number_is_refused() -> None:
    with pytest.raises(CorruptRecordError):
        parse_record(payload(b"x", (1, float("nan"), 0, 1, 1)))


@pytest.mark.parametrize("picture", [b"", b"x", MAGIC, b"abcd" + MAGIC * 3 + b"e", b"abc" + MAGIC])
def test_what_preparation_writes_is_what_training_reads(tmp_path: Path, picture: bytes) -> None:
    first = frame(pack(3, [2, 5, *BOX], picture))
    (record, again) = read_records(written(tmp_path, first, first))
    assert isinstance(record, Record)
    assert isinstance(again, Record)
    assert record.picture == again.picture == picture
    np.testing.assert_allclose(record.labels, [BOX])
