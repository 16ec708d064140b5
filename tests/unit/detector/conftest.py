"""The shared real data sets, where they are at hand; the real server on a model with random weights."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.detector.live_server import PYTHONPATH, ROOT, SERVE_PYTHON, LiveServer

TRAIN_PYTHON = ROOT / ".envs" / "detector-train" / "bin" / "python"


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    folder = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder} (set DROPSPOT_DATASETS)")
    return folder


@pytest.fixture(scope="session")
def model_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An /opt/ml tree whose model is a `tiny` network of two classes with random weights."""
    for python in (TRAIN_PYTHON, SERVE_PYTHON):
        if not python.exists():
            pytest.skip(f"{python} is missing: python3 cli/bootstrap.py detector-train detector-serve")
    root = tmp_path_factory.mktemp("random") / "ml"
    command = [TRAIN_PYTHON, ROOT / "benchmarks" / "serve" / "random_model.py", root / "model", "tiny", "128", "2"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": PYTHONPATH}, check=True, timeout=100)
    return root


@pytest.fixture(scope="module")
def server(model_root: Path) -> Iterator[LiveServer]:
    """One real server for the tests that leave it as it is."""
    with LiveServer(model_root) as running:
        yield running
