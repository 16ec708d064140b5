"""Incremental training: an earlier model's weights are the start, and a model that doesn't fit is refused."""

import io
import json
import tarfile
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from short_trainings import Trained, TrainingRoot

from detector import artifacts
from detector.model_channel import read_model
from detector.settings import Settings
from detector.starting_point import starting_point
from dropspot.errors import InvalidInputError

FILES = (artifacts.PARAMETERS, artifacts.DESCRIPTION, artifacts.HYPERPARAMETERS, artifacts.ONNX)


def settings(**given: str) -> Settings:
    asked = {"num_classes": "2", "num_training_samples": "8", "base_network": "tiny", "image_shape": "300"}
    return Settings.from_strings(asked | {"use_pretrained_model": "0"} | given)


@pytest.fixture
def channel(trained: Trained, tmp_path: Path) -> Path:
    """The channel `model` as SageMaker fills it: the file of the earlier job."""
    folder = tmp_path / "model"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for path in trained.model.iterdir():
            archive.add(path, path.name)
    return folder


def rewritten(channel: Path, **changes: object) -> None:
    """Replace the archive by its files, some of the description's fields changed."""
    with tarfile.open(channel / "model.tar.gz") as archive:
        for name in FILES:
            stream = archive.extractfile(name)
            assert stream is not None
            (channel / name).write_bytes(stream.read())
    (channel / "model.tar.gz").unlink()
    known = json.loads((channel / artifacts.DESCRIPTION).read_text())
    (channel / artifacts.DESCRIPTION).write_text(json.dumps(known | changes))


def at_128(**given: str) -> Settings:
    """The trained model's own side, which the container's hyperparameters refuse as too small."""
    known = settings(**given)
    object.__setattr__(known, "image_shape", 128)
    return known


def test_the_earlier_models_weights_are_the_start(trained: Trained, channel: Path, tmp_path: Path) -> None:
    start = starting_point(at_128(), tmp_path / "pretrained", channel)
    earlier = mx.nd.load(str(trained.model / artifacts.PARAMETERS))
    both = start.weights.parameters | start.weights.statistics
    assert len(both) == len(earlier) - 1  # all but the anchors
    for name, value in both.items():
        prefix = "arg" if name in start.weights.parameters else "aux"
        np.testing.assert_array_equal(value, earlier[f"{prefix}:{name}"].asnumpy())
    assert start.weights.pretrained == frozenset()
    assert start.origin.startswith("the model of channel model")


def test_the_files_may_lie_beside_each_other(channel: Path, tmp_path: Path) -> None:
    rewritten(channel, mean=[1, 2, 3], deviation=[4, 5, 6])
    start = starting_point(at_128(), tmp_path / "pretrained", channel)
    assert (start.network.mean, start.network.deviation) == ((1, 2, 3), (4, 5, 6))  # as the earlier model's pictures


def test_a_job_without_the_channel_starts_elsewhere(tmp_path: Path) -> None:
    assert read_model(tmp_path / "model") is None
    assert starting_point(settings(), tmp_path / "pretrained", tmp_path / "model").origin == "drawn weights"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            {"num_classes": "3"},
            "hyperparameter num_classes is 3, but channel model holds a model of 2: it can only be trained further",
        ),
        (
            {"base_network": "resnet-50"},
            "hyperparameter base_network is resnet-50, but channel model holds a model of tiny: it can only be trained",
        ),
        ({"image_shape": "300"}, r"hyperparameter image_shape is 300, .* at 128, whose maps differ"),
    ],
)
def test_a_job_that_the_model_does_not_fit_is_refused(
    channel: Path, tmp_path: Path, given: dict[str, str], complaint: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"^{complaint}"):
        starting_point(settings(**given), tmp_path / "pretrained", channel)


def archive_of(folder: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


DESCRIPTION = json.dumps({"schema": artifacts.SCHEMA, "mean": [0], "deviation": [1]}).encode()


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({}, "has no detector.json and no model_algo_1-0000.params: give it the model.tar.gz of a model that this"),
        ({artifacts.PARAMETERS: b"x"}, "has no detector.json"),  # the built-in's own
        ({artifacts.PARAMETERS: b"x", artifacts.DESCRIPTION: b"{}"}, "detector.json is not this container's: schema"),
        ({artifacts.PARAMETERS: b"x", artifacts.DESCRIPTION: b"[1"}, "detector.json is not this container's"),
        ({artifacts.PARAMETERS: b"x", artifacts.DESCRIPTION: DESCRIPTION}, "detector.json is not this container's"),
    ],
)
def test_another_archive_is_refused(tmp_path: Path, members: dict[str, bytes], complaint: str) -> None:
    (tmp_path / "model").mkdir()
    archive_of(tmp_path / "model", members)
    with pytest.raises(InvalidInputError, match=rf"^channel model:? {complaint}"):
        read_model(tmp_path / "model")


def test_damaged_archives_and_parameters_are_refused(channel: Path) -> None:
    whole = (channel / "model.tar.gz").read_bytes()
    for data in (b"", b"no archive", whole[: len(whole) // 2]):
        (channel / "model.tar.gz").write_bytes(data)
        with pytest.raises(InvalidInputError, match=r"model\.tar\.gz cannot be read"):
            read_model(channel)
    (channel / "model.tar.gz").write_bytes(whole)
    rewritten(channel)
    parameters = channel / artifacts.PARAMETERS
    parameters.write_bytes(parameters.read_bytes()[:5000])
    with pytest.raises(InvalidInputError, match="is not a whole file of MXNet's parameters"):
        read_model(channel)


def test_two_archives_are_not_one_model(channel: Path) -> None:
    (channel / "other.tar.gz").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="channel model has 2 archives"):
        read_model(channel)


def test_surplus_parameters_are_another_networks(channel: Path, tmp_path: Path) -> None:
    rewritten(channel)
    path = str(channel / artifacts.PARAMETERS)
    mx.nd.save(path, mx.nd.load(path) | {"arg:more_weight": mx.nd.zeros((1,))})
    with pytest.raises(InvalidInputError, match="more_weight is not in this network"):
        starting_point(at_128(), tmp_path / "pretrained", channel)


def test_a_training_goes_on_from_the_model(channel: Path, training_root: TrainingRoot) -> None:
    """One epoch more than the twelve before: a training from drawn weights has a mAP near 0 after its first."""
    asked = {"epochs": "1", "learning_rate": "0.0003", "weight_averaging": "0"}
    training_root.write(asked, pictures=16)
    folder = training_root.folder / "input" / "data" / "model"
    folder.mkdir()
    (folder / "model.tar.gz").write_bytes((channel / "model.tar.gz").read_bytes())
    code, log = training_root.train()
    assert code == 0, log
    assert "starts from the model of channel model" in log
    card = json.loads((training_root.folder / "model" / artifacts.CARD).read_text())
    assert card["evaluation"]["validation_map"] > 0.5
    assert card["training"]["started_from"].startswith("the model of channel model")
    assert card["training"]["channels"]["train"]["pictures"] == 16
