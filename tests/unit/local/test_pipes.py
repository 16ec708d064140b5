"""Pipes are fed as they are read, and never outlive the container."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropspot_local.sagemaker.jobs import INTERNAL_ERROR
from dropspot_local.sagemaker.pipes import ChannelPipes
from dropspot_local.sagemaker.staging import StagingError

PIECE = bytes(100_000)  # more than a pipe holds


@dataclass
class Numbered:
    """A channel whose epochs are their numbers, after `pieces` that no pipe holds; then `error`, if there is one."""

    name: str
    pieces: int = 0
    error: Exception | None = None
    begun: list[int] = field(default_factory=list)

    def epoch(self, number: int) -> Iterator[bytes]:
        self.begun.append(number)
        yield b"epoch %d" % number
        for _ in range(self.pieces):
            yield PIECE
        if self.error is not None:
            raise self.error


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("pipe-")]


def read(path: Path, size: int = -1) -> bytes:
    eventually(path.exists)
    with path.open("rb") as pipe:
        return pipe.read(size)


def test_the_first_pipes_are_there_before_anything_runs(tmp_path):
    ChannelPipes([Numbered("train"), Numbered("validation")], tmp_path / "data")
    for name in ("train_0", "validation_0"):
        assert stat.S_ISFIFO((tmp_path / "data" / name).stat().st_mode)
    assert feeders() == []


def test_without_piped_channels_there_is_no_folder(tmp_path):
    with ChannelPipes([], tmp_path / "data"):
        assert not (tmp_path / "data").exists()


def test_channels_are_read_in_any_order_and_a_pipe_goes_when_the_next_is_there(tmp_path):
    with ChannelPipes([Numbered("train"), Numbered("validation")], tmp_path) as pipes:
        assert read(tmp_path / "validation_0") == b"epoch 0"
        assert [read(tmp_path / f"train_{epoch}") for epoch in range(3)] == [b"epoch 0", b"epoch 1", b"epoch 2"]
        eventually(lambda: sorted(path.name for path in tmp_path.iterdir()) == ["train_3", "validation_1"])
    assert not pipes.failed.is_set()
    assert feeders() == []


def test_data_are_asked_for_when_somebody_reads_them(tmp_path):
    stream = Numbered("train")
    with ChannelPipes([stream], tmp_path):
        time.sleep(0.2)
        assert stream.begun == []
        read(tmp_path / "train_0")
        eventually((tmp_path / "train_1").exists)
    assert stream.begun == [0]


def test_a_reader_that_closes_early_gets_the_next_epoch(tmp_path):
    with ChannelPipes([Numbered("train", pieces=5)], tmp_path) as pipes:
        assert read(tmp_path / "train_0", 7) == b"epoch 0"
        assert read(tmp_path / "train_1") == b"epoch 1" + 5 * PIECE
    assert not pipes.failed.is_set()


def test_the_block_ends_while_a_pipe_is_full(tmp_path):
    with ChannelPipes([Numbered("train", pieces=5)], tmp_path) as pipes:
        reader = os.open(tmp_path / "train_0", os.O_RDONLY)
        os.read(reader, 7)
    os.close(reader)
    assert feeders() == []
    assert not pipes.failed.is_set()


@pytest.mark.parametrize(
    ("error", "reason"),
    [(StagingError("ClientError: it's gone"), "ClientError: it's gone"), (RuntimeError("a bug"), INTERNAL_ERROR)],
)
def test_an_error_closes_the_pipe_and_is_the_reason(tmp_path, error, reason):
    streams = [Numbered("train", error=error), Numbered("validation")]
    with ChannelPipes(streams, tmp_path) as pipes:
        assert read(tmp_path / "train_0") == b"epoch 0"
        assert pipes.failed.wait(10)
        assert read(tmp_path / "validation_0") == b"epoch 0"
    assert pipes.reason == reason
    assert not (tmp_path / "train_1").exists()
    assert feeders() == []
