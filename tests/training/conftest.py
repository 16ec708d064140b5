"""What the tests of training share: the environments' interpreters, the real data sets, one trained model."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.threads import set_openmp_threads

sys.path.append(str(Path(__file__).parent))

from short_trainings import PYTHONPATH, ROOT, Trained, TrainingRoot

set_openmp_threads()  # before any test imports mxnet


@pytest.fixture(scope="session")
def serve_python() -> Path:
    """The serving environment's interpreter: it has ONNX Runtime, this one has MXNet."""
    return Path(os.environ.get("DROPSPOT_SERVE_PYTHON", ROOT / ".envs" / "detector-serve" / "bin" / "python"))


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    folder = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder} (set DROPSPOT_DATASETS)")
    return folder


@pytest.fixture
def training_root(tmp_path: Path) -> TrainingRoot:
    return TrainingRoot(tmp_path / "ml")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A tiny model trained for a few seconds, for every test that only looks at one."""
    root = TrainingRoot(tmp_path_factory.mktemp("trained") / "ml")
    root.write({})
    code, log = root.train()
    assert code == 0, log
    return Trained(root, log)


@pytest.fixture(scope="session")
def serve_environment() -> Callable[[Path], dict[str, str]]:
    """Return a maker of the environment variables that point the serving side at an /opt/ml tree."""
    return lambda root: dict(os.environ) | {"PYTHONPATH": PYTHONPATH, "DROPSPOT_ML_ROOT": str(root)}
