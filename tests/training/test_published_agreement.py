"""The networks with a trunk of publication answer the same on MXNet and, exported, on ONNX Runtime."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from detector.initial_weights import as_ndarrays, initial_weights, parameter_shapes
from detector.networks import Network, build_network
from detector.onnx_graph import onnx_model, write_onnx

RUN = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
np.savez(sys.argv[3], *session.run(["classes", "boxes"], {"data": np.load(sys.argv[2])}))
"""


def unlike_any_default(network: Network) -> dict[str, np.ndarray]:
    """Weights that show a parameter which is forgotten or mistaken for another: none is 0, 1 or a constant.

    Scales are small, so that the sums of ResNet's many layers stay as small as trained ones.
    """
    rng = np.random.default_rng(3)
    start = initial_weights(network, 0, {})
    weights = start.parameters | start.statistics
    for name, shape in (part for shapes in parameter_shapes(network) for part in shapes.items()):
        if name.endswith("_gamma"):
            weights[name] = rng.uniform(0.1, 0.5, shape).astype(np.float32)
        elif name.endswith("_var"):
            weights[name] = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        elif name.endswith(("_beta", "_mean", "_bias")):
            weights[name] = rng.uniform(-0.2, 0.2, shape).astype(np.float32)
        elif name.endswith("_scale"):
            weights[name] = rng.uniform(15, 25, shape).astype(np.float32)
    return weights


@pytest.mark.parametrize(
    ("name", "trunk"),
    [("vgg-16", ""), ("resnet-50", "pre-activation"), ("resnet-50", "post-activation"), ("efficientnet-lite0", "")],
)
def test_onnx_runtime_answers_what_mxnet_answers(
    name: str, trunk: str, serve_python: Path, serve_environment: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    network = build_network(name, 300, 2, trunk)
    weights = unlike_any_default(network)
    pictures = np.random.default_rng(4).normal(0, 1, (1, 3, 300, 300)).astype(np.float32)
    pictures[:, :, 200:] = 0  # a part without anything to see: its features are near zero lengths
    np.save(tmp_path / "pictures.npy", pictures)
    write_onnx(tmp_path / "detector.onnx", network.symbol, weights, 300, ("classes", "boxes"))
    command = [serve_python, "-c", RUN, tmp_path / "detector.onnx", tmp_path / "pictures.npy", tmp_path / "answers.npz"]
    subprocess.run(command, env=serve_environment(tmp_path), check=True, timeout=60)
    served = np.load(tmp_path / "answers.npz")
    arrays = as_ndarrays(weights)
    executor = network.symbol.bind(
        mx.cpu(),
        args={key: arrays[key] for key in network.symbol.list_arguments() if key != "data"}
        | {"data": mx.nd.array(pictures)},
        aux_states={key: arrays[key] for key in network.symbol.list_auxiliary_states()},
        grad_req="null",
    )
    for ours, theirs in zip(executor.forward(is_train=False), (served["arr_0"], served["arr_1"]), strict=True):
        assert theirs.std() > 0.05
        np.testing.assert_allclose(ours.asnumpy(), theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("symbol", "complaint"),
    [
        (mx.sym.Pooling(mx.sym.Variable("data"), pool_type="avg", kernel=(2, 2), name="mean"), "pooling mean"),
        (mx.sym.L2Normalization(mx.sym.Variable("data"), name="unit"), "L2Normalization unit"),
        (mx.sym.Dropout(mx.sym.Variable("data"), name="drop"), "operator Dropout of drop"),
    ],
)
def test_an_operator_without_a_translation_is_named(symbol: mx.sym.Symbol, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        onnx_model(symbol, {}, 8, ("answer",))
