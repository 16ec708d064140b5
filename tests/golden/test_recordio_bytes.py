"""Records and index against mxnet.recordio: the same bytes for the same header and payload."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from dropspot.recordio import MAGIC
from prep.recordio import RecordWriter, packed_label, read_records, unpack

mx = pytest.importorskip("mxnet", reason="MXNet is only in .envs/oracle")

LABEL = [2.0, 5.0, 1.0, 0.1, 0.2, 0.3, 0.4]
PAYLOADS = {
    "no magic word": b"\xff\xd8\xff\xe0 nothing of note \xff\xd9",
    "empty": b"",
    "aligned": b"abcd" + MAGIC + b"efgh",
    "off by one": b"a" + MAGIC + b"bcd",
    "off by two": b"ab" + MAGIC + b"cd",
    "off by three": b"abc" + MAGIC + b"d",
    "repeated with gaps": (b"abcd" + MAGIC) * 5 + b"e",
    "adjacent": b"abcd" + MAGIC * 4 + b"efg",
    "adjacent and unaligned": b"ab" + MAGIC * 3 + b"efg",
    "aligned after unaligned": b"a" + MAGIC + b"bcd" + MAGIC + b"e",
    "overlapping an unaligned one": MAGIC[:2] + MAGIC + MAGIC[2:] + MAGIC,
    "at the beginning": MAGIC + b"abc",
    "at the end": b"abcd" + MAGIC,
    "at the end, unaligned": b"abc" + MAGIC,
    "at both ends": MAGIC + b"abcd" + MAGIC,
    "nothing else": MAGIC,
    "nothing else, many times": MAGIC * 9,
    "cut off": b"abcd" + MAGIC[:3],
    "cut off at the end of an aligned word": b"abcdabcd" + MAGIC[:3] + MAGIC,
} | {f"length {length}": bytes(range(1, length + 1)) for length in range(10)}


def written_by_mxnet(folder: Path, contents: Sequence[tuple[int, bytes]]) -> tuple[bytes, bytes]:
    record = mx.recordio.MXIndexedRecordIO(str(folder / "theirs.idx"), str(folder / "theirs.rec"), "w")
    for key, content in contents:
        record.write_idx(key, content)
    record.close()
    return (folder / "theirs.rec").read_bytes(), (folder / "theirs.idx").read_bytes()


def written_by_prep(folder: Path, contents: Sequence[tuple[int, bytes]]) -> tuple[bytes, bytes]:
    with RecordWriter(folder / "ours.rec", folder / "ours.idx") as records:
        for key, content in contents:
            records.write(key, content)
    return (folder / "ours.rec").read_bytes(), (folder / "ours.idx").read_bytes()


def assert_same(folder: Path, contents: Sequence[tuple[int, bytes]]) -> None:
    """Same bytes, and either side reads what the other wrote."""
    assert written_by_prep(folder, contents) == written_by_mxnet(folder, contents)
    reader = mx.recordio.MXIndexedRecordIO(str(folder / "ours.idx"), str(folder / "ours.rec"), "r")
    assert [reader.read_idx(key) for key, _ in contents] == [content for _, content in contents]
    reader.close()
    assert list(read_records(folder / "theirs.rec")) == [content for _, content in contents]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_picture_is_packed_and_framed_as_mxnet_does(payload: bytes, tmp_path: Path) -> None:
    packed = packed_label(7, LABEL) + payload
    assert packed == mx.recordio.pack(mx.recordio.IRHeader(0, LABEL, 7, 0), payload)
    assert_same(tmp_path, [(0, packed), (7, packed), (8, packed_label(8, LABEL) + b"the next one")])


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_bare_payload_is_framed_as_mxnet_does(payload: bytes, tmp_path: Path) -> None:
    contents = [(0, b"before"), (1, payload), (2, b"after")]
    assert written_by_prep(tmp_path, contents) == written_by_mxnet(tmp_path, contents)
    assert list(read_records(tmp_path / "theirs.rec")) == [content for _, content in contents]


@pytest.mark.parametrize("count", [1, 2, 60, 1000])
def test_a_label_of_any_length_is_packed_as_mxnet_does(count: int) -> None:
    draw = random.Random(count)
    label = [2.0, 5.0] + [
        value for _ in range(count) for value in (draw.randrange(90), *(draw.random() for _ in "abcd"))
    ]
    payload = packed_label(2**40 + count, label) + b"picture"
    assert payload == mx.recordio.pack(mx.recordio.IRHeader(0, label, 2**40 + count, 0), b"picture")
    header, image = mx.recordio.unpack(payload)
    assert (header.id, tuple(header.label), image) == (2**40 + count, unpack(payload).label, b"picture")


def test_a_label_that_holds_the_magic_word_survives(tmp_path: Path) -> None:
    # the floats of a label lie at multiples of four, so one whose bytes are the word cuts the record
    label = [2.0, 5.0, *memoryview(MAGIC * 2 + bytes(12)).cast("f")]
    assert_same(tmp_path, [(0, packed_label(0, label) + b"picture")])
    assert unpack(next(read_records(tmp_path / "ours.rec"))).label == tuple(label)


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_of_payloads_gives_the_same_files(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    fragments = [
        MAGIC,
        MAGIC[:1],
        MAGIC[1:],
        MAGIC[:2],
        MAGIC[2:],
        MAGIC[:3],
        MAGIC[3:],
        b"a",
        b"bc",
        b"dddd",
        bytes(4),
    ]
    contents = []
    for key in draw.sample(range(10_000), 250):  # keys need not be in order nor without gaps
        image = b"".join(draw.choice(fragments) for _ in range(draw.randrange(16))) + draw.randbytes(draw.randrange(9))
        label = [2.0, 5.0] + [draw.choice([0.0, 1.0, 1 / 3, 0.1234567]) for _ in range(5 * draw.randrange(4))]
        payload = packed_label(key, label) + image
        assert payload == mx.recordio.pack(mx.recordio.IRHeader(0, label, key, 0), image)
        contents.append((key, payload))
    assert_same(tmp_path, contents)
