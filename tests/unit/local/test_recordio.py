"""The framing is the one with which preparation writes its record files."""

from __future__ import annotations

import random

import pytest

import prep.recordio
from dropspot_local.sagemaker import recordio
from dropspot_local.sagemaker.recordio import MAGIC, frame


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"a",
        b"abcd",
        MAGIC,
        MAGIC * 3,
        b"a" + MAGIC,
        b"abcd" + MAGIC,
        MAGIC + b"abcde",
        b"abcd" + MAGIC + b"ef" + MAGIC + b"gh" + MAGIC,
        MAGIC[:2] + MAGIC + MAGIC[2:],
    ],
)
def test_records_are_those_of_preparation(payload, tmp_path):
    assert frame(payload) == prep.recordio.frame(payload)
    (tmp_path / "one.rec").write_bytes(frame(payload))
    assert list(prep.recordio.read_records(tmp_path / "one.rec")) == [payload]


def test_any_mixture_of_magic_words_is_framed_alike():
    numbers = random.Random(1)
    for _ in range(500):
        payload = b"".join(numbers.choice([MAGIC, MAGIC[:2], MAGIC[2:], b"x"]) for _ in range(numbers.randrange(12)))
        assert frame(payload) == prep.recordio.frame(payload)


def test_what_is_too_long_for_a_record_is_refused(monkeypatch):
    assert recordio.LONGEST == prep.recordio.MAX_LENGTH
    monkeypatch.setattr(recordio, "LONGEST", 4)
    assert frame(b"abcd")
    with pytest.raises(ValueError, match="a record holds at most 4 bytes, not 5"):
        frame(b"abcde")
