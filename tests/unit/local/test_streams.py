"""What can't be framed as a record says which object it is."""

from __future__ import annotations

import io

import pytest
from botocore.response import StreamingBody

from dropspot import recordio
from dropspot_local.sagemaker.staging import S3Location, StagingError
from dropspot_local.sagemaker.streams import ChannelStream


class OneObject:
    """S3 with the same eight bytes under every key."""

    def get_object(self, **_: str) -> dict[str, StreamingBody]:
        return {"Body": StreamingBody(io.BytesIO(b"12345678"), 8)}


def test_an_object_that_is_too_long_for_a_record_is_named(monkeypatch):
    monkeypatch.setattr(recordio, "MAX_LENGTH", 7)
    stream = ChannelStream(OneObject(), "train", [(S3Location("bucket", "key"),)], wrapped=True)
    with pytest.raises(StagingError, match=r"at most 7 bytes, not 8, in s3://bucket/key of channel train"):
        list(stream.epoch(0))


def test_bytes_that_are_not_wrapped_may_be_of_any_length(monkeypatch):
    monkeypatch.setattr(recordio, "MAX_LENGTH", 7)
    stream = ChannelStream(OneObject(), "train", [(S3Location("bucket", "key"), b"9" * 9)])
    assert b"".join(stream.epoch(0)) == b"12345678999999999"
