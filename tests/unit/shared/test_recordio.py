import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropspot import recordio
from dropspot.recordio import MAGIC, MAX_LENGTH, FramingError, around, frame, read_payload

fragments = st.sampled_from([MAGIC, MAGIC[:1], MAGIC[1:], MAGIC[:2], MAGIC[2:], b"a", b"bc", b"dddd", bytes(4)])
payloads = st.lists(fragments, max_size=12).map(b"".join) | st.binary(max_size=40)
seeded = settings(derandomize=True, deadline=None)


def read_all(data: bytes) -> list[bytes]:
    stream, found = io.BytesIO(data), []
    while (payload := read_payload(stream)) is not None:
        found.append(payload)
    return found


@given(contents=st.lists(payloads, max_size=6))
@seeded
def test_any_payloads_survive_the_round_trip(contents: list[bytes]) -> None:
    framed = b"".join(map(frame, contents))
    assert read_all(framed) == contents
    assert len(framed) % 4 == 0


@given(payload=payloads)
@seeded
def test_the_magic_word_stands_only_where_a_part_begins(payload: bytes) -> None:
    # A reader that lost its place looks for the word at multiples of four: it must find heads of parts only.
    framed, at, heads = frame(payload), 0, set()
    while at < len(framed):
        heads.add(at)
        at += 8 + (struct.unpack_from("<I", framed, at + 4)[0] & MAX_LENGTH)
        at += -at % 4
    assert {i for i in range(0, len(framed), 4) if framed[i : i + 4] == MAGIC} == heads


@pytest.mark.parametrize("payload", [b"", b"a", b"abcd", b"ab" + MAGIC + b"cd"])
def test_a_payload_with_nothing_to_cut_out_stands_between_its_head_and_its_padding(payload: bytes) -> None:
    before, behind = around(len(payload))
    assert frame(payload) == before + payload + behind


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (frame(b"some payload")[:-4], "end within a record"),
        (frame(b"some payload") + frame(b"x")[:6], "end within a record"),
        (b"\0" + frame(b"some payload"), "not RecordIO"),
        (b"PK\3\4 an archive", "not RecordIO"),
        (frame(b"abcd" + MAGIC + b"e")[:12], "end within a record"),
        (frame(b"x") + frame(MAGIC)[8:], "out of order"),
        (frame(b"abcd" + MAGIC + b"e")[:12] + frame(b"x"), "out of order"),
        (MAGIC + struct.pack("<I", 4 << 29), "out of order"),
    ],
)
def test_damage_is_told(data: bytes, complaint: str) -> None:
    with pytest.raises(FramingError, match=complaint):
        read_all(data)


def test_what_is_too_long_for_a_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "MAX_LENGTH", 4)
    assert frame(b"abcd")
    for refused in (lambda: frame(b"abcde"), lambda: around(5)):
        with pytest.raises(ValueError, match="a record holds at most 4 bytes, not 5"):
            refused()


def test_a_record_of_endless_parts_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "MAX_LENGTH", 1000)
    head = [MAGIC + struct.pack("<I", flag << 29 | 100) + b"x" * 100 for flag in (1, *[2] * 20)]
    with pytest.raises(FramingError, match="more than 1,000 bytes"):
        read_all(b"".join(head))


@given(contents=st.lists(payloads, max_size=5), start=st.integers(0, 200), block=st.sampled_from([4, 16, 1 << 20]))
@seeded
def test_the_next_record_is_found_from_anywhere(contents: list[bytes], start: int, block: int) -> None:
    framed = [frame(payload) for payload in contents]
    begins = [sum(map(len, framed[:number])) for number in range(len(framed) + 1)]
    file = io.BytesIO(b"".join(framed))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recordio, "_BLOCK", block)
        found = recordio.seek_record(file, start)
    assert found == file.tell()
    if start <= begins[-1]:
        assert found == next(begin for begin in begins if begin >= start)
    else:
        assert not file.read()
