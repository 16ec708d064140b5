"""Data sets for the tests of preparation: made on the fly, and the shared real ones where they are at hand."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.prep.minis import ROOT, MiniDataset


@pytest.fixture
def mini(tmp_path: Path) -> MiniDataset:
    return MiniDataset(tmp_path / "ml")


@pytest.fixture
def another(tmp_path: Path) -> MiniDataset:
    """A second data set, to compare with the first."""
    return MiniDataset(tmp_path / "another")


@pytest.fixture
def locked_out() -> Iterator[Path]:
    """A folder of a user whom permissions bind: tests may run as root, who reads everything."""
    folder, root = Path(tempfile.mkdtemp()), os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        else:
            for path in folder.rglob("*"):
                path.chmod(0o700)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    folder = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder} (set DROPSPOT_DATASETS)")
    return folder
