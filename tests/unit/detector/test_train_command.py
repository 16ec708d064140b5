"""The train command refuses what it can't train on before any work: exit code 1 and one sentence in output/failure."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

GIVEN = {"num_classes": "2", "num_training_samples": "10", "base_network": "tiny", "image_shape": "128"}
EMPTY_MXNET = "raise ImportError('a refusal must not need MXNet')"


def run(
    root: Path, hyperparameters: Any, hosts: tuple[str, ...] = ("algo-1",), mxnet: str = EMPTY_MXNET, current: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command in an interpreter for which importing MXNet is an error."""
    config = root / "input" / "config"
    config.mkdir(parents=True)
    if hyperparameters is not None:
        text = hyperparameters if isinstance(hyperparameters, str) else json.dumps(hyperparameters)
        (config / "hyperparameters.json").write_text(text)
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": current or hosts[0], "hosts": hosts}))
    (root / "mxnet.py").write_text(mxnet)
    code = (ROOT / part for part in ("detector_container", "layers/shared", "layers/imaging"))
    path = os.pathsep.join(map(str, (root, *code)))
    env = os.environ | {"PYTHONPATH": path, "DROPSPOT_ML_ROOT": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "detector.train"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        (GIVEN | {"epochs": "many"}, "hyperparameter epochs is 'many'"),
        (GIVEN | {"colour": "red"}, "hyperparameter colour is unknown"),
        (GIVEN | {"col\ud800r": "red"}, r"hyperparameter col\ud800r is unknown"),
        ({"num_classes": "2"}, "hyperparameter num_training_samples is required"),
        ("{", "hyperparameters.json is not JSON"),
        (["epochs"], "hyperparameters.json is not an object"),
        (None, "hyperparameters.json is missing"),
    ],
)
def test_a_refusal_is_one_sentence_that_names_what_is_wrong(
    tmp_path: Path, hyperparameters: Any, sentence: str
) -> None:
    done = run(tmp_path, hyperparameters)
    failure = (tmp_path / "output" / "failure").read_text()
    assert done.returncode == 1
    assert sentence in failure
    assert "\n" not in failure
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Traceback (most recent call last):\n  File x\nMXNetError: out of memory\n", "MXNetError: out of memory"),
        ("the reason\nand more", "the reason"),
        ("", ""),
    ],
)
def test_an_unexpected_error_is_told_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    assert run(tmp_path, GIVEN, mxnet=f"raise RuntimeError({text!r})").returncode == 1
    failure = (tmp_path / "output" / "failure").read_text()
    assert failure == f"training failed unexpectedly: RuntimeError: {reason}"


def test_a_host_that_is_none_of_the_hosts_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, GIVEN, hosts=("algo-1",), current="algo-9").returncode == 1
    assert "current_host 'algo-9'" in (tmp_path / "output" / "failure").read_text()
