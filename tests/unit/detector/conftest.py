"""The shared real data sets, where they are at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    folder = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder} (set DROPSPOT_DATASETS)")
    return folder
