"""Anchors fitted to the channel's boxes: the same in training, in every artifact and in what goes on from them."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from short_trainings import TrainingRoot

from detector import artifacts
from detector.anchors import anchor_boxes
from detector.settings import Settings
from detector.starting_point import starting_point
from dropspot.errors import InvalidInputError

SHORT = {"anchors": "fitted", "image_shape": "160", "epochs": "2"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> TrainingRoot:
    root = TrainingRoot(tmp_path_factory.mktemp("fitted") / "ml")
    root.write(SHORT, pictures=16)
    code, log = root.train()
    assert code == 0, log
    return root


def test_the_artifacts_tell_the_same_anchors(fitted: TrainingRoot) -> None:
    model = fitted.folder / "model"
    known = artifacts.Description.read(model)
    saved = np.load(model / artifacts.ANCHORS)
    np.testing.assert_array_equal(anchor_boxes(known.anchors), saved)
    network = json.loads((model / artifacts.CARD).read_text())["network"]
    assert network["anchor_sizes"] == [[round(size, 6) for size in level.sizes] for level in known.anchors]
    assert network["anchor_ratios"] == [[round(ratio, 6) for ratio in level.ratios] for level in known.anchors]
    assert json.loads((model / artifacts.HYPERPARAMETERS).read_text())["anchors"] == "fitted"
    assert known.anchors[0].ratios != (1.0, 2.0, 0.5)


def test_incremental_training_keeps_the_anchors_that_the_weights_answer_for(
    fitted: TrainingRoot, training_root: TrainingRoot, tmp_path: Path
) -> None:
    channel = training_root.folder / "input" / "data" / "model"
    channel.mkdir(parents=True)
    with tarfile.open(channel / "model.tar.gz", "w:gz") as archive:
        for path in (fitted.folder / "model").iterdir():
            archive.add(path, path.name)
    training_root.write(SHORT | {"epochs": "1"}, pictures=20, seed=5)  # other boxes, which would fit other anchors
    code, log = training_root.train()
    assert code == 0, log
    before, after = (np.load(root.folder / "model" / artifacts.ANCHORS) for root in (fitted, training_root))
    np.testing.assert_array_equal(before, after)


def test_a_job_of_another_standard_still_takes_over_the_earlier_models(fitted: TrainingRoot, tmp_path: Path) -> None:
    given = {"num_classes": "2", "num_training_samples": "8", "base_network": "tiny", "image_shape": "160"}
    settings = Settings.from_strings(given | {"use_pretrained_model": "0"})
    start = starting_point(settings, tmp_path / "pretrained", fitted.folder / "model")
    assert start.knows_anchors
    assert start.network.levels == artifacts.Description.read(fitted.folder / "model").anchors


def test_the_built_ins_networks_keep_their_anchors() -> None:
    given = {"num_classes": "2", "num_training_samples": "8", "anchors": "fitted"}
    for network in ({}, {"base_network": "vgg-16"}, {"base_network": "resnet-50"}):
        with pytest.raises(InvalidInputError, match="anchors is fitted"):
            Settings.from_strings(given | network)
