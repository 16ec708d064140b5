"""One model, three ways to run it: MXNet's graph, the exported graph on ONNX Runtime, the server over HTTP."""

import io
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from PIL import Image, ImageDraw
from short_trainings import Trained, TrainingRoot, drawn_picture, packed

import detector.channel
from detector import artifacts
from detector.batches import network_input, validation_fit
from detector.channel import load_channel
from detector.evaluation import mean_average_precision
from detector.hosts.peers import Alone
from detector.job import run_job
from detector.networks import build_network
from detector.paths import ContainerPaths
from detector.pictures import read_picture
from detector.predictor import Predictor
from detector.settings import Settings

Environment = Callable[[Path], dict[str, str]]

RAW = """
import sys
import numpy as np
from pathlib import Path
from detector.served_model import ServedModel
folder = Path(sys.argv[1])
np.savez(sys.argv[3], *ServedModel(folder).raw(np.load(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    rng = np.random.default_rng(99)
    return [drawn_picture(rng)[0] for _ in range(6)]


def mxnet_weights(folder: Path) -> dict[str, mx.nd.NDArray]:
    return {name.split(":", 1)[1]: value for name, value in mx.nd.load(str(folder / artifacts.PARAMETERS)).items()}


def prepared(folder: Path, pictures: list[bytes]) -> np.ndarray:
    known = artifacts.Description.read(folder)
    return np.stack(
        [network_input(read_picture(data), known.image_shape, known.mean, known.deviation) for data in pictures]
    )


def test_onnx_runtime_answers_what_mxnet_answers(
    trained: Trained, pictures: list[bytes], serve_python: Path, serve_environment: Environment, tmp_path: Path
) -> None:
    inputs = prepared(trained.model, pictures)
    np.save(tmp_path / "inputs.npy", inputs)
    command = [serve_python, "-c", RAW, trained.model, tmp_path / "inputs.npy", tmp_path / "answers.npz"]
    subprocess.run(command, env=serve_environment(tmp_path), check=True, timeout=60)
    served = np.load(tmp_path / "answers.npz")
    expected = Predictor(build_network("tiny", 128, 2), mxnet_weights(trained.model)).raw(inputs)
    for ours, theirs in zip(expected, (served["arr_0"], served["arr_1"]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.fixture(scope="module")
def server(trained: Trained, serve_python: Path, serve_environment: Environment) -> Iterator[str]:
    """The real server on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = serve_environment(trained.root.folder)
    env |= {"SAGEMAKER_BIND_TO_PORT": str(port), "DROPSPOT_BIND_HOST": "127.0.0.1"}
    with subprocess.Popen([serve_python, "-m", "detector.serve"], env=env) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until_healthy(address, process)
            yield address
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0  # it drains and ends by itself


def wait_until_healthy(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=2) as response:
                assert response.status == 200
                return
        except OSError:  # nobody listens yet, or the model is being loaded
            time.sleep(0.05)
    raise AssertionError("the server was not healthy in time")


def served_rows(address: str, picture: bytes) -> np.ndarray:
    request = urllib.request.Request(f"{address}/invocations", picture, {"Content-Type": "application/x-image"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return np.array(json.load(response)["prediction"]).reshape(-1, 6)


def test_the_server_answers_what_mxnets_own_detection_operator_answers(
    trained: Trained, pictures: list[bytes], server: str
) -> None:
    """The saved symbol ends in MultiBoxDetection: MXNet's decoding and suppression, not ours."""
    weights = mxnet_weights(trained.model)
    symbol = mx.sym.load(str(trained.model / artifacts.SYMBOL))
    inputs = mx.nd.array(prepared(trained.model, pictures))
    executor = symbol.bind(
        mx.cpu(),
        args={name: weights[name] for name in symbol.list_arguments() if name != "data"} | {"data": inputs},
        aux_states={name: weights[name] for name in symbol.list_auxiliary_states()},
        grad_req="null",
    )
    for picture, theirs in zip(pictures, executor.forward(is_train=False)[0].asnumpy(), strict=True):
        expected = theirs[theirs[:, 0] >= 0]
        expected = expected[expected[:, 1] > 0.05]  # the tail's order hangs on the last bit
        rows = served_rows(server, picture)
        rows = rows[rows[:, 1] > 0.05]
        assert len(rows) == len(expected) > 0
        # row by row, whatever order the last bit of two scores gives them
        apart = np.abs(rows[:, None] - expected).max(axis=2)
        nearest = apart.argmin(axis=0)
        assert sorted(nearest) == list(range(len(rows)))
        assert apart.min(axis=0).max() <= 1e-4


def test_the_mean_average_precision_of_training_loop_and_server_agree(trained: Trained, server: str) -> None:
    channel = trained.root.folder / "input" / "data" / "validation"
    samples = load_channel(channel, 2, validation_fit(128), 1)
    answers = [served_rows(server, sample.compressed) for sample in samples]
    score = mean_average_precision([sample.labels for sample in samples], answers, 0.5).mean
    assert abs(score - artifacts.Description.read(trained.model).validation_map) < 1e-3


def large_picture(rng: np.random.Generator) -> tuple[bytes, list[tuple[float, ...]]]:
    """A picture much larger than the network and not square: what is shrunk in two steps differs in most pixels."""
    picture = Image.fromarray(rng.integers(0, 255, (240, 320, 3), np.uint8))
    canvas = ImageDraw.Draw(picture)
    left, top = (int(place) for place in rng.integers(0, 60, 2))
    canvas.ellipse((left, top, left + 90, top + 90), fill=(230, 40, 40))
    canvas.rectangle((left + 110, top + 50, left + 200, top + 170), fill=(40, 60, 240))
    pixels = [(left, top, left + 90, top + 90), (left + 110, top + 50, left + 200, top + 170)]
    boxes = [(float(n), x0 / 320, y0 / 240, x1 / 320, y1 / 240) for n, (x0, y0, x1, y1) in enumerate(pixels)]
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue(), boxes


def write_large_pictures(channel: Path, count: int) -> list[bytes]:
    rng = np.random.default_rng(count)
    drawn = [large_picture(rng) for _ in range(count)]
    channel.mkdir(parents=True, exist_ok=True)
    (channel / f"{channel.name}.rec").write_bytes(b"".join(packed(n, *one) for n, one in enumerate(drawn)))
    return [picture for picture, _ in drawn]


@pytest.mark.parametrize("cache_bytes", [1 << 30, 0])
def test_the_loop_feeds_the_network_what_serving_feeds_it(
    training_root: TrainingRoot, monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    """To the last bit, of pictures larger than the network, whether they are kept decoded or not."""
    training_root.write({"epochs": "1", "mini_batch_size": "8"}, pictures=8)
    pictures = write_large_pictures(training_root.folder / "input" / "data" / "validation", 12)
    monkeypatch.setattr(detector.channel, "CACHE_BYTES", cache_bytes)
    fed, raw = [], Predictor.raw

    def noted(self: Predictor, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fed.append(inputs.copy())
        return raw(self, inputs)

    monkeypatch.setattr(Predictor, "raw", noted)
    paths = ContainerPaths(training_root.folder)
    given = json.loads(paths.hyperparameters.read_text())
    formats = dict.fromkeys(("train", "validation"))
    run_job(paths, Settings.from_strings(given), given, formats, lambda: False, Alone())
    np.testing.assert_array_equal(np.concatenate(fed), prepared(paths.model, pictures))


def test_loop_and_server_see_the_same_in_large_pictures(trained: Trained, server: str, tmp_path: Path) -> None:
    pictures = write_large_pictures(tmp_path / "validation", 6)
    samples = load_channel(tmp_path / "validation", 2, validation_fit(128), 1)
    known = artifacts.Description.read(trained.model)
    predictor = Predictor(build_network("tiny", 128, 2), mxnet_weights(trained.model))
    for picture, ours in zip(pictures, predictor.detect(samples, known.nms_threshold, known.nms_topk), strict=True):
        rows, expected = (some[some[:, 1] > 0.05] for some in (served_rows(server, picture), ours))
        assert len(rows) == len(expected) > 0
        apart = np.abs(rows[:, None] - expected).max(axis=2)
        assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) <= 1e-4


def test_a_broken_model_is_not_served(
    trained: Trained, serve_python: Path, serve_environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    for path in trained.model.iterdir():
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes()[: 200 if path.suffix == ".onnx" else None])
    command = [serve_python, "-m", "detector.serve"]
    done = subprocess.run(
        command, env=serve_environment(tmp_path), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "cannot be served" in done.stdout
