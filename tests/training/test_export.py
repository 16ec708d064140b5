"""A model is written whole, or the training ends with a sentence."""

from pathlib import Path

import mxnet as mx
import pytest

from detector import artifacts
from detector.export import export_model
from detector.initial_weights import as_ndarrays, initial_weights
from detector.networks import build_network
from detector.settings import Settings
from dropspot.errors import TransientError

GIVEN = {"num_classes": "2", "num_training_samples": "8", "base_network": "tiny", "image_shape": "128"}
FILES = (
    artifacts.ONNX,
    artifacts.ANCHORS,
    artifacts.SYMBOL,
    artifacts.PARAMETERS,
    artifacts.HYPERPARAMETERS,
    artifacts.DESCRIPTION,
)


def export(folder: Path) -> dict[str, mx.nd.NDArray]:
    network = build_network("tiny", 128, 2)
    drawn = initial_weights(network, 0, {})
    weights = as_ndarrays(drawn.parameters | drawn.statistics)
    export_model(folder, network, weights, Settings.from_strings(GIVEN), GIVEN, 0, 0.5)
    return weights


def test_mxnet_reads_what_is_written(tmp_path: Path) -> None:
    weights = export(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == set(FILES)
    saved = mx.nd.load(str(tmp_path / "model" / artifacts.PARAMETERS))
    assert {name.split(":")[1] for name in saved} == weights.keys() | {"anchors"}
    assert all(
        (saved.get(f"arg:{name}", saved.get(f"aux:{name}")) == value).min() == 1 for name, value in weights.items()
    )
    graph = mx.sym.load(str(tmp_path / "model" / artifacts.SYMBOL))
    assert set(graph.list_arguments()) >= {"data", "anchors"}


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_said_in_one_sentence_that_names_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(TransientError) as caught:
        export(tmp_path)
    assert str(caught.value) == f"the model cannot be written to {tmp_path / name}: No space left on device"
