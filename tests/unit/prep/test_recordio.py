from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from dropspot.recordio import MAGIC, frame
from prep.recordio import RecordWriter, packed_label, read_records, unpack

# Written by mxnet.recordio 1.9.1 (MXIndexedRecordIO, IRHeader(0, label, index, 0)): an ordinary record, and one whose
# payload holds the magic word three times at a multiple of four once the header and labels stand before it.
GOLDEN = [
    ([2, 5, 0, 0.25, 0.5, 0.75, 1.0], b"\xff\xd8jpeg!\xff\xd9"),
    ([2, 5, 1, 0, 0, 0.1, 0.2, 0, 0.3, 0.3, 0.9, 0.9], b"abcd" + MAGIC + b"efg" + MAGIC + MAGIC + b"x"),
]
GOLDEN_REC = bytes.fromhex(
    "0a23d7ce3d000000070000000000000000000000000000000000000000000000000000400000a040000000000000803e0000003f0000403f"
    "0000803fffd86a70656721ffd90000000a23d7ce4c0000200c0000000000000001000000000000000000000000000000000000400000a040"
    "0000803f0000000000000000cdcccc3dcdcc4c3e000000009a99993e9a99993e6666663f6666663f616263640a23d7ce0c00006065666"
    "70a23d7ce0a23d7ce78"
)
GOLDEN_IDX = "0\t0\n1\t72\n"

fragments = st.sampled_from([MAGIC, MAGIC[:1], MAGIC[1:], b"a", b"bc", b"dddd", bytes(4)])
payloads = st.lists(fragments, max_size=12).map(b"".join) | st.binary(max_size=40)


def write(folder: Path, contents: list[bytes]) -> Path:
    with RecordWriter(folder / "a.rec", folder / "a.idx") as records:
        for key, content in enumerate(contents):
            records.write(key, content)
    return folder / "a.rec"


def test_the_bytes_are_those_of_mxnet(tmp_path: Path) -> None:
    rec = write(tmp_path, [packed_label(i, label) + image for i, (label, image) in enumerate(GOLDEN)])
    assert rec.read_bytes() == GOLDEN_REC
    assert (tmp_path / "a.idx").read_text() == GOLDEN_IDX


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    rec = write(tmp_path, [packed_label(i, label) + image for i, (label, image) in enumerate(GOLDEN)])
    for payload, (label, image), number in zip(read_records(rec), GOLDEN, range(2), strict=True):
        record = unpack(payload)
        assert (record.record_id, record.image) == (number, image)
        assert record.label == pytest.approx(label, abs=1e-7)


@given(contents=st.lists(payloads, max_size=6))
@seeded
def test_any_payload_survives_the_round_trip(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    rec = write(tmp_path_factory.mktemp("rec"), contents)
    assert list(read_records(rec)) == contents
    assert rec.stat().st_size % 4 == 0


@given(contents=st.lists(st.lists(payloads, max_size=3), max_size=4))
@seeded
def test_a_payload_may_come_in_pieces(contents: list[list[bytes]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("rec")
    with RecordWriter(folder / "pieces.rec", folder / "pieces.idx") as records:
        for key, pieces in enumerate(contents):
            records.write(key, *pieces)
    rec = write(folder, [b"".join(pieces) for pieces in contents])
    assert (folder / "pieces.rec").read_bytes() == rec.read_bytes()
    assert (folder / "pieces.idx").read_text() == (folder / "a.idx").read_text()


def test_the_index_points_at_the_records(tmp_path: Path) -> None:
    contents = [b"first", MAGIC * 2, b"third"]
    data = write(tmp_path, contents).read_bytes()
    for line, content in zip((tmp_path / "a.idx").read_text().splitlines(), contents, strict=True):
        offset = int(line.split("\t")[1])
        assert data[offset:].startswith(frame(content))


@pytest.mark.parametrize("damage", [lambda data: data[:-4], lambda data: b"\0" + data[1:]])
def test_a_damaged_file_is_not_read_in_silence(damage, tmp_path: Path) -> None:
    rec = write(tmp_path, [b"some payload", b"another"])
    rec.write_bytes(damage(rec.read_bytes()))
    with pytest.raises(ValueError, match=r"^a\.rec, before byte \d+: the data "):
        list(read_records(rec))
