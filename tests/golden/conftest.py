"""What the golden tests share: data sets made on the fly, and the real ones where they are at hand."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from golden.preparations import Prepared, prep_python, prepare

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _prep_environment() -> None:
    if not prep_python().exists():
        pytest.skip(f"prep's environment is not at {prep_python()} (make setup)")


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    folder = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder} (set DROPSPOT_DATASETS)")
    return folder


@pytest.fixture(scope="session")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """240 pictures with 1 to 60 boxes each, of five classes."""
    from unit.prep.minis import MiniDataset

    draw = random.Random(60)
    mini = MiniDataset(tmp_path_factory.mktemp("crowded") / "ml")
    for number in range(240):
        width, height = draw.randrange(200, 400), draw.randrange(200, 400)
        boxes = []
        for _ in range(1 + (number * 7) % 60):
            xmin, ymin = draw.randrange(width - 12), draw.randrange(height - 12)
            xmax, ymax = draw.randrange(xmin + 8, width), draw.randrange(ymin + 8, height)
            boxes.append((f"class {draw.randrange(5)}", xmin, ymin, xmax, ymax))
        mini.pair(f"crowd_{number:03d}", number, boxes, size=(width, height))
    return prepare(mini.paths.dataset.parents[2])


@pytest.fixture(scope="session")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """40 pictures larger than the plan allows."""
    from unit.prep.minis import MiniDataset

    mini = MiniDataset(tmp_path_factory.mktemp("resized") / "ml")
    for number in range(40):
        mini.pair(f"large_{number:03d}", number, [("cat", 10, 20, 200, 150), ("dog", 3, 4, 90, 100)], size=(300, 200))
    return prepare(mini.paths.dataset.parents[2], {"shorter_side": 96})


def _real(folder: Path, root: Path) -> Prepared:
    dataset = root / "processing" / "input" / "dataset"
    dataset.parent.mkdir(parents=True)
    dataset.symlink_to(folder)
    return prepare(root)


@pytest.fixture(scope="session")
def pets(shared_datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The sample of the Oxford pets as published."""
    return _real(shared_datasets / "oxford-pets-sample", tmp_path_factory.mktemp("pets") / "ml")


@pytest.fixture(scope="session")
def bccd(shared_datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The blood cells as published."""
    return _real(shared_datasets / "bccd", tmp_path_factory.mktemp("bccd") / "ml")


@pytest.fixture(params=["crowded", "resized", "pets", "bccd"])
def prepared(request: pytest.FixtureRequest) -> Prepared:
    """One preparation after the other; the real ones are skipped where their data set is not at hand."""
    found: Callable[[str], Prepared] = request.getfixturevalue
    return found(request.param)
