"""Data sets for the tests of preparation: made on the fly, and the shared real ones where they are at hand."""

import os
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


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    folder = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder} (set DROPSPOT_DATASETS)")
    return folder
