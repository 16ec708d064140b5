"""A training that is interrupted, by whatever and whenever, loses nothing and ends as it would have ended."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from PIL import Image
from short_trainings import PYTHONPATH, TrainingRoot, drawn_picture, packed

from detector import artifacts
from detector.checkpoints import NAME, PREVIOUS
from detector.networks import build_network
from detector.predictor import Predictor

PROGRESS = "#progress_metric"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # sums are made in one order, so that every bit is the same each time
ANNEALED = {"schedule": "cosine", "warmup_steps": "2", "clip_gradient": "5", "weight_averaging": "0.9"}
MOMENTS = int(os.environ.get("DROPSPOT_SIGTERM_MOMENTS", "3"))  # set it to 20 for the thorough check


def interrupted(hyperparameters: dict[str, str], every: int) -> dict[str, object]:
    script = Path(__file__).with_name("every_interruption.py")
    env = os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join((PYTHONPATH, str(script.parent)))}
    command = [sys.executable, script, json.dumps(hyperparameters), str(every)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_a_training_stopped_at_any_moment_and_resumed_is_the_uninterrupted_one_bit_for_bit() -> None:
    """Within epochs, between them, in the validation; weights, averages, the optimiser's memory, the kept epoch."""
    result = interrupted(ANNEALED | {"optimizer": "adam", "learning_rate": "0.003", "epochs": "2"}, every=1)
    # three batches of four and nine validation pictures in each epoch
    assert result == {"asked": 2 * (3 + 9), "epochs": 2, "different": {}}


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adadelta"])
def test_every_optimizers_memory_is_resumed(optimizer: str) -> None:
    """Without a limit for the gradient, which would make each step wait for the backward pass anyway."""
    result = interrupted({"optimizer": optimizer, "lr_scheduler_step": "1", "epochs": "2"}, every=7)
    assert result == {"asked": 2 * (3 + 9), "epochs": 2, "different": {}}


def test_early_stopping_is_resumed() -> None:
    """Patience is lost in the same epoch, in however many processes the epochs without a gain are counted."""
    stopping = {"early_stopping": "True", "early_stopping_min_epochs": "1", "early_stopping_patience": "2"}
    result = interrupted(stopping | {"early_stopping_tolerance": "1", "learning_rate": "1e-6", "epochs": "9"}, every=9)
    assert isinstance(result["epochs"], int)
    assert result["epochs"] < 9
    assert result["different"] == {}


def test_a_killed_and_a_terminated_process_leave_what_an_uninterrupted_one_leaves(tmp_path: Path) -> None:
    whole, broken = TrainingRoot(tmp_path / "whole"), TrainingRoot(tmp_path / "broken")
    for root in (whole, broken):
        root.write(ANNEALED | {"epochs": "4", "mini_batch_size": "4"}, pictures=24)
    code, log = whole.train(**ONE_THREAD)
    assert code == 0, log
    for number in (signal.SIGKILL, signal.SIGTERM):
        with broken.start(**ONE_THREAD) as process:
            assert process.stdout is not None
            next(line for line in process.stdout if PROGRESS in line)
            process.send_signal(number)
            process.communicate(timeout=30)
    code, log = broken.train(**ONE_THREAD)
    assert code == 0, log
    assert "resumed from the checkpoint" in log
    for name in (artifacts.PARAMETERS, artifacts.DESCRIPTION, artifacts.HYPERPARAMETERS):
        ours, theirs = ((root.folder / "model" / name).read_bytes() for root in (broken, whole))
        assert ours == theirs, name
    ours, theirs = (dict(np.load(root.folder / "checkpoints" / NAME)) for root in (broken, whole))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_other_pictures_under_the_same_boxes_are_another_training(training_root: TrainingRoot) -> None:
    """As after a change of the camera's white balance: every box is where it was."""
    training_root.write({"epochs": "1"}, pictures=16)
    channel = training_root.folder / "input" / "data" / "train" / "train.rec"
    rng = np.random.default_rng(0)
    drawn = [drawn_picture(rng) for _ in range(16)]
    other = [packed(index, greyed(picture), boxes) for index, (picture, boxes) in enumerate(drawn)]
    assert training_root.train()[0] == 0
    assert "resumed from the checkpoint" in training_root.train()[1]
    channel.write_bytes(b"".join(other))
    code, log = training_root.train()
    assert code == 0, log
    assert "made with other hyperparameters, pictures or labels" in log
    assert "resumed from the checkpoint" not in log


def greyed(picture: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("L").save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_corrupt_checkpoint_costs_one_epoch_and_no_more(training_root: TrainingRoot) -> None:
    training_root.write({"epochs": "3"}, pictures=16)
    assert training_root.train(**ONE_THREAD)[0] == 0
    folder = training_root.folder / "checkpoints"
    whole = dict(np.load(folder / NAME))
    content = bytearray((folder / NAME).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / NAME).write_bytes(content)
    code, log = training_root.train(**ONE_THREAD)
    assert code == 0, log
    assert f"{NAME} is corrupt" in log
    assert "resumed from the checkpoint in epoch 2, after 0 of 1 batches" in log
    again = dict(np.load(folder / NAME))
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def catches_sigterm(pid: int) -> bool:
    """Say whether the process has come so far as to handle the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"SigCgt:\s*(\w+)", status)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


def assert_answers(model: Path) -> None:
    """Load the model and run it."""
    weights = {name.split(":", 1)[1]: value for name, value in mx.nd.load(str(model / artifacts.PARAMETERS)).items()}
    known = artifacts.Description.read(model)
    network = build_network(known.base_network, known.image_shape, known.num_classes)
    probabilities, _ = Predictor(network, weights, batch_size=1).raw(np.zeros((1, 3, 128, 128), np.float32))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-4)
    assert (model / artifacts.ONNX).stat().st_size > 100_000


@pytest.mark.timeout(60 + 60 * MOMENTS)
def test_sigterm_at_any_moment_leaves_a_model_and_a_checkpoint_within_thirty_seconds(tmp_path: Path) -> None:
    """Moments drawn over a whole training, from when the process handles signals to beyond its end.

    Before the data are loaded there is nothing to keep, and that is said.
    """
    whole = TrainingRoot(tmp_path / "whole")
    whole.write({"epochs": "6"}, pictures=32)
    begun = time.monotonic()
    assert whole.train()[0] == 0
    lasted = time.monotonic() - begun
    drawn = random.Random(int(os.environ.get("DROPSPOT_SIGTERM_SEED", "0")))
    for number in range(MOMENTS):
        root = TrainingRoot(tmp_path / str(number))
        root.write({"epochs": "6"}, pictures=32)
        moment = drawn.uniform(0, lasted)
        with root.start() as process:
            while process.poll() is None and not catches_sigterm(process.pid):
                time.sleep(0.01)
            time.sleep(moment)
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            log, _ = process.communicate(timeout=30)
        told = f"after {moment:.2f} s:\n{log}"
        assert process.returncode == 0, told
        assert time.monotonic() - asked < 30, told
        assert not (root.folder / "output" / "failure").exists(), told
        loading = "loaded 32 training" not in log
        if loading:
            assert "told to stop while loading the data: there is no model" in log, told
        else:
            assert_answers(root.folder / "model")
        code, log = root.train()  # and the job goes on from there to its end
        assert code == 0, told + log
        assert ("resumed from the checkpoint" in log) != loading, told + log
        assert "completed 100 %" in log or "in epoch 6, after 0" in log, told + log
        assert_answers(root.folder / "model")


def test_a_full_disk_is_said_in_one_sentence(training_root: TrainingRoot) -> None:
    """No file larger than 2 MB can be written: the first checkpoint can't."""
    training_root.write({"epochs": "2"}, pictures=16)
    code, log = training_root.train(("--fsize=2000000",))
    assert code == 1, log
    checkpoint = training_root.folder / "checkpoints" / NAME
    assert training_root.failure == f"checkpoint {checkpoint} cannot be written: File too large"
    assert list(checkpoint.parent.iterdir()) == []


def test_a_disk_that_fills_up_later_keeps_the_checkpoint_before(training_root: TrainingRoot) -> None:
    training_root.write({"epochs": "2"}, pictures=16)
    assert training_root.train()[0] == 0
    folder = training_root.folder / "checkpoints"
    (folder / PREVIOUS).replace(folder / NAME)  # as if stopped after one epoch
    before = (folder / NAME).read_bytes()
    assert training_root.train(("--fsize=2000000",))[0] == 1
    assert (folder / NAME).read_bytes() == before


def test_no_box_left_is_said_in_one_sentence(training_root: TrainingRoot) -> None:
    training_root.write({"mini_batch_size": "2"}, pictures=3)
    channel = training_root.folder / "input" / "data" / "train" / "train.rec"
    picture, _ = drawn_picture(np.random.default_rng(0))
    without_width = [(0, 0.5, 0.5, 0.5, 0.9)]
    channel.write_bytes(b"".join(packed(index, picture, without_width) for index in range(3)))
    code, log = training_root.train()
    assert code == 1, log
    assert training_root.failure == "channel train has no usable box in any of its 3 pictures"
