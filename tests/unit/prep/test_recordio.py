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


@given(contents=st.lists(st.tuples(payloads, payloads), max_size=4))
@seeded
def test_a_payload_may_end_with_a_file(
    contents: list[tuple[bytes, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_same_with_files(contents, tmp_path_factory.mktemp("rec"))


def test_files_may_be_of_any_size(tmp_path: Path) -> None:
    sizes = [300_001, 700_003, 1 << 20, (1 << 20) - 12, 5, 0, 3_000_002, 400_000]
    contents = [(b"label%02d" % number, b"%d" % number * size) for number, size in enumerate(sizes)]
    assert_same_with_files([*contents, (b"labels", bytes(999_998) + MAGIC * 20_000), (b"", b"last")], tmp_path)


def assert_same_with_files(contents: list[tuple[bytes, bytes]], folder: Path) -> None:
    """The same record files whether payloads are given as they are, or end with a file."""
    with RecordWriter(folder / "files.rec", folder / "files.idx") as records:
        for key, (beginning, content) in enumerate(contents):
            (folder / "content").write_bytes(content)
            records.write_with_file(key, beginning, folder / "content")
    rec = write(folder, [beginning + content for beginning, content in contents])
    assert (folder / "files.rec").read_bytes() == rec.read_bytes()
    assert (folder / "files.idx").read_text() == (folder / "a.idx").read_text()
    assert list(read_records(rec)) == [beginning + content for beginning, content in contents]


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
