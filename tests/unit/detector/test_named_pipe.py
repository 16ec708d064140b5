"""A channel's named pipe is read once, to its end; what never comes ends in a sentence, and a stop is heard at once."""

import os
import threading
import time
from pathlib import Path

import pytest
from unit.detector.written_channels import fed_pipe

from detector.channels.named_pipe import NamedPipe, StoppedError
from dropspot.errors import InvalidInputError

SHORT = 0.5  # seconds of patience


def never() -> bool:
    return False


def test_bytes_come_in_the_sizes_that_are_asked_for(tmp_path: Path) -> None:
    content = os.urandom(300_000)  # more than a pipe holds at once
    with fed_pipe(tmp_path / "train", content), NamedPipe(tmp_path / "train", never) as pipe:
        assert pipe.read(0) == b""
        assert pipe.read(7) == content[:7]
        assert pipe.read(200_000) == content[7:200_007]
        assert pipe.read(10**9) == content[200_007:]
        assert pipe.read(8) == b""


def test_a_pipe_may_appear_late_and_its_writer_later(tmp_path: Path) -> None:
    def appear() -> None:
        time.sleep(0.3)
        os.mkfifo(tmp_path / "train_0")
        time.sleep(0.3)
        with (tmp_path / "train_0").open("wb") as stream:
            time.sleep(0.3)
            stream.write(b"late")

    writer = threading.Thread(target=appear)
    writer.start()
    with NamedPipe(tmp_path / "train", never, patience=10) as pipe:
        assert pipe.read(100) == b"late"
    writer.join()


def test_the_first_epoch_is_read_and_no_other(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train_1")  # with no writer, opening it as usual would block for good
    with fed_pipe(tmp_path / "train", b"first"), NamedPipe(tmp_path / "train", never, SHORT) as pipe:
        assert pipe.read(100) == b"first"


def test_a_pipe_that_never_appears_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"channel train: the named pipe train_0 is not there for 0\.5 s"):
        NamedPipe(tmp_path / "train", never, SHORT).__enter__()


def test_a_pipe_without_a_writer_is_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train_0")
    with (
        NamedPipe(tmp_path / "train", never, SHORT) as pipe,
        pytest.raises(InvalidInputError, match=r"channel train: the named pipe train_0 brought nothing for 0\.5 s"),
    ):
        pipe.read(1)


def test_a_writer_that_falls_silent_is_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train_0")
    with NamedPipe(tmp_path / "train", never, SHORT) as pipe:
        writer = os.open(tmp_path / "train_0", os.O_WRONLY)
        os.write(writer, b"some")
        assert pipe.read(4) == b"some"
        with pytest.raises(InvalidInputError, match="brought nothing"):
            pipe.read(1)
        os.close(writer)


def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train_0").write_bytes(b"a file")
    with pytest.raises(InvalidInputError, match="train_0 is not a named pipe"):
        NamedPipe(tmp_path / "train", never).__enter__()


@pytest.mark.parametrize("there", [False, True])
def test_a_stop_is_heard_while_waiting(tmp_path: Path, there: bool) -> None:
    if there:
        os.mkfifo(tmp_path / "train_0")
    told = threading.Event()
    timer = threading.Timer(0.3, told.set)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(StoppedError), NamedPipe(tmp_path / "train", told.is_set, patience=60) as pipe:
        pipe.read(1)
    assert time.monotonic() - begun < 5
    timer.join()


def test_a_stop_is_heard_while_bytes_keep_coming(tmp_path: Path) -> None:
    told = threading.Event()
    with fed_pipe(tmp_path / "train", bytes(5_000_000)), NamedPipe(tmp_path / "train", told.is_set) as pipe:
        pipe.read(10)
        told.set()
        with pytest.raises(StoppedError):
            pipe.read(4_000_000)
