"""A training reads pipes as it reads files, and a stop is heard while a pipe brings nothing."""

import json
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from short_trainings import TrainingRoot
from unit.detector.written_channels import fed_pipe

SIDES = ("train", "validation")


def say_pipe(root: TrainingRoot) -> Path:
    """Make the tree's channels piped ones; return the folder of the data."""
    channel = {
        "ContentType": "application/x-recordio",
        "TrainingInputMode": "Pipe",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    path = root.folder / "input" / "config" / "inputdataconfig.json"
    path.write_text(json.dumps(dict.fromkeys(SIDES, channel)))
    return root.folder / "input" / "data"


def test_a_training_on_pipes_is_the_training_on_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so that sums are made in one order
    files, pipes = TrainingRoot(tmp_path / "files"), TrainingRoot(tmp_path / "pipes")
    for root in (files, pipes):
        root.write({"epochs": "2"}, pictures=16)
    data = say_pipe(pipes)
    with ExitStack() as stack:
        for name in SIDES:
            content = (data / name / f"{name}.rec").read_bytes()
            (data / name / f"{name}.rec").unlink()
            (data / name).rmdir()
            stack.enter_context(fed_pipe(data / name, content))
        for root in (files, pipes):
            code, log = root.train()
            assert code == 0, log
    expected, found = (dict(np.load(root.folder / "checkpoints" / "checkpoint.npz")) for root in (files, pipes))
    assert found.keys() == expected.keys()
    for name in found.keys() - {"head"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_sigterm_is_heard_while_a_pipe_brings_nothing(training_root: TrainingRoot) -> None:
    training_root.write({}, pictures=16)
    os.mkfifo(say_pipe(training_root) / "train_0")
    with training_root.start() as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "waiting for channel train in named pipe train_0" in line)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=30)
        assert process.returncode == 0, log
        assert time.monotonic() - asked < 5
    assert "told to stop while loading the data" in log
    assert not (training_root.folder / "output" / "failure").exists()
