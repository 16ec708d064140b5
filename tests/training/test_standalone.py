"""The whole road without a cloud, as a user goes it: prepare, train, evaluate, serve."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_trainings import ROOT, drawn_picture

from detector.evaluation import mean_average_precision

COMMAND = ROOT / ".venv" / "bin" / "dropspot"
CLASSES = ("disc", "square")
SIDE = 128
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the machine has


@contextmanager
def started(*words: object) -> Iterator["subprocess.Popen[str]"]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "200"}
    with subprocess.Popen(
        [COMMAND, *map(str, words)],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # no effect on one that has ended


def run(*words: object) -> str:
    with started(*words) as process:
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    return said


def until(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Read what a process says until a line matches; return that line."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"nothing matched {pattern}: {said}")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn pictures with their annotations in Pascal VOC's layout."""
    folder, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    for index in range(48):
        data, boxes = drawn_picture(rng, SIDE)
        objects = "".join(
            f"<object><name>{CLASSES[int(class_id)]}</name><bndbox>"
            + "".join(f"<{tag}>{value * SIDE:.0f}</{tag}>" for tag, value in zip(tags, corners, strict=True))
            + "</bndbox></object>"
            for class_id, *corners in boxes
            if (tags := ("xmin", "ymin", "xmax", "ymax"))
        )
        (folder / f"{index}.jpg").write_bytes(data)
        (folder / f"{index}.xml").write_text(f"<annotation><filename>{index}.jpg</filename>{objects}</annotation>")
    return folder


@pytest.fixture(scope="module")
def prepared(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    run("prepare", dataset, out)
    return out


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    chosen = {
        "base_network": "tiny",
        "epochs": 14,
        "mini_batch_size": 8,
        "learning_rate": 0.003,
        "weight_averaging": 0.9,
    }
    changes = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    said = run("train", prepared, out, *changes)
    assert "epoch 14/14   loss " in said
    return out


def test_a_training_leaves_its_model_and_its_curve(trained: Path) -> None:
    document = json.loads((trained / "training.json").read_text())
    assert document["classes"] == list(CLASSES)
    assert document["hyperparameters"] == json.loads((trained / "model" / "hyperparams.json").read_text())
    described = json.loads((trained / "model" / "detector.json").read_text())
    assert document["best_epoch"] == described["best_epoch"]
    assert f"the model: epoch {described['best_epoch'] + 1}," in (trained / "training.svg").read_text()
    assert not (trained / ".training").exists()


def test_the_scores_are_those_of_the_answers_that_the_model_serves(prepared: Path, trained: Path) -> None:
    """Scored once more by the training's own measure, which shares no code with the pipeline's scorer."""
    said = run("evaluate", trained, prepared)
    evaluation = json.loads((trained / "evaluation.json").read_text())
    assert f"mAP@0.5 {evaluation['map50']:.3f}" in said
    assert evaluation["map50"] > 0.2
    truth = json.loads((prepared / "prepared" / "test" / "truth.json").read_text())["images"]
    with served(trained / "model") as address:
        answers = [
            np.array(ask(address, prepared / "prepared" / "test" / "images" / name), np.float64).reshape(-1, 6)
            for name in truth
        ]
    corners = ("class_id", "xmin", "ymin", "xmax", "ymax")
    boxes = [np.array([[box[key] for key in corners] for box in one["boxes"]], np.float64) for one in truth.values()]
    expected = mean_average_precision(boxes, answers, 0.5)
    assert evaluation["map50"] == pytest.approx(expected.mean, abs=1e-6)
    assert evaluation["map50_voc07"] == pytest.approx(expected.mean_11_points, abs=1e-6)
    assert evaluation["boxes"] == sum(len(one) for one in boxes)


def ask(address: str, picture: Path) -> Any:
    request = urllib.request.Request(address, picture.read_bytes(), {"Content-Type": "image/jpeg"})
    with DIRECT.open(request, timeout=30) as response:
        return json.load(response)["prediction"]


@contextmanager
def served(model: Path) -> Iterator[str]:
    """The address that `dropspot serve` says; it is ended with Ctrl-C."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with started("serve", model, "--port", port) as process:
        address = until(process, r"http://\S+/invocations").split()[-1]
        yield address
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0, said


def test_ctrl_c_leaves_a_model_of_the_epochs_so_far(dataset: Path, tmp_path: Path) -> None:
    """On pictures in folders, which is the other output that a training can read here."""
    plan = {"output": "image", "hyperparameters": {"base_network": "tiny", "epochs": 500, "mini_batch_size": 8}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    run("prepare", dataset, tmp_path / "data", "--plan", tmp_path / "plan.json")
    with started("train", tmp_path / "data", tmp_path / "out", "--plan", tmp_path / "plan.json") as process:
        until(process, r"epoch +2/500 ")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert re.search(r"stopped after \d+ epochs: weights of epoch \d+", said)
    assert json.loads((tmp_path / "out" / "training.json").read_text())["stopped"] is True
    with served(tmp_path / "out") as address:
        assert ask(address, dataset / "0.jpg")
