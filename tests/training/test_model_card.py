"""The model card says what was trained on what, and says the same of the same training."""

import json
from pathlib import Path

import numpy as np

from detector.model_card import TrainingFacts, labels_digest, model_card, write_model_card
from detector.networks import build_network
from detector.settings import Settings

SETTINGS = Settings.from_strings(
    {"num_classes": "2", "num_training_samples": "3", "base_network": "tiny", "image_shape": "300"}
)
TRAIN = [np.array([[0, 0.1, 0.1, 0.5, 0.5], [1, 0.2, 0.2, 0.9, 0.9]], np.float32), np.zeros((0, 5), np.float32)]
VALIDATION = [np.array([[1, 0, 0, 1, 1]], np.float32)]
FACTS = TrainingFacts("drawn weights", TRAIN, VALIDATION, 4, 0.87654321, [{"validation_map": 0.5}])


def test_the_card_has_network_data_results_and_versions(tmp_path: Path) -> None:
    network = build_network("tiny", 300, 2)
    write_model_card(tmp_path, network, SETTINGS, FACTS)
    card = json.loads((tmp_path / "model_card.json").read_text())
    assert card["schema"] == "dropspot/model-card/1"
    assert (card["network"]["base_network"], card["network"]["num_classes"]) == ("tiny", 2)
    assert card["network"]["anchors"] == sum(side**2 * 4 for side in card["network"]["maps"])
    assert card["training"]["started_from"] == "drawn weights"
    assert card["training"]["hyperparameters"]["epochs"] == 30  # in effect, though not given
    assert card["training"]["channels"]["train"] == {
        "pictures": 2,
        "boxes_by_class": {"0": 1, "1": 1},
        "labels_sha256": labels_digest(TRAIN),
    }
    assert card["evaluation"] == {
        "kept_epoch": 4,
        "validation_map": 0.876543,
        "overlap_threshold": 0.5,
        "epochs": [{"validation_map": 0.5}],
    }
    assert {"detector", "code", "python", "mxnet", "numpy", "onnx"} == card["software"].keys()


def test_the_same_training_writes_the_same_card(tmp_path: Path) -> None:
    network = build_network("tiny", 300, 2)
    assert model_card(network, SETTINGS, FACTS) == model_card(build_network("tiny", 300, 2), SETTINGS, FACTS)


def test_the_digest_tells_data_sets_apart() -> None:
    moved = [TRAIN[0] + np.float32(1e-6), TRAIN[1]]
    joined = [np.concatenate([TRAIN[0][:1], TRAIN[1]]), TRAIN[0][1:]]
    assert len({labels_digest(labels) for labels in (TRAIN, moved, joined, TRAIN[:1], [])}) == 5
