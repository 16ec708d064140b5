"""A smoke training of each of the built-in's networks: finite losses, weights that move, a model that answers."""

import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from short_trainings import TrainingRoot, drawn_picture

from detector import artifacts
from detector.initial_weights import initial_weights
from detector.networks import build_network

LOSSES = re.compile(r"train (?:cross_entropy|smooth_l1) <loss>=\(?([^\s)]+)")
ANSWER = """
import sys
from pathlib import Path
from detector.served_model import ServedModel
print(len(ServedModel(Path(sys.argv[1])).detect(Path(sys.argv[2]).read_bytes()).rows))
"""


@pytest.mark.parametrize(
    ("base_network", "layer"), [("vgg-16", "conv5_3_weight"), ("resnet-50", "stage4_unit3_conv3_weight")]
)
def test_two_pictures_train_it_and_it_is_served(
    base_network: str,
    layer: str,
    training_root: TrainingRoot,
    serve_python: Path,
    serve_environment: Callable[[Path], dict[str, str]],
) -> None:
    asked = {"base_network": base_network, "image_shape": "300", "mini_batch_size": "2", "epochs": "1"}
    frozen = "^(conv1_|bn_data|conv0).*"
    training_root.write(asked | {"use_pretrained_model": "0", "freeze_layer_pattern": frozen}, pictures=2)
    code, log = training_root.train()
    assert code == 0, log
    losses = [float(loss) for loss in LOSSES.findall(log)]
    assert len(losses) == 2, log
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)

    folder = training_root.folder / "model"
    trained = {name.split(":")[1]: value for name, value in mx.nd.load(str(folder / artifacts.PARAMETERS)).items()}
    start = initial_weights(build_network(base_network, 300, 2), 0, {}).parameters
    # All later maps build on this one: whichever of them the few boxes fall to, it learns.
    for name in (layer, "multi_feat_2_conv_1x1_conv_weight"):
        assert not np.array_equal(trained[name].asnumpy(), start[name]), f"{name} did not move"
    first = "conv1_1_weight" if base_network == "vgg-16" else "conv0_weight"
    np.testing.assert_array_equal(trained[first].asnumpy(), start[first])  # frozen

    (training_root.folder / "picture.jpg").write_bytes(drawn_picture(np.random.default_rng(9))[0])
    command = [serve_python, "-c", ANSWER, folder, training_root.folder / "picture.jpg"]
    done = subprocess.run(
        command, env=serve_environment(training_root.folder), capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) > 0
