import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from backfill_world import World  # found by the line above


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a bucket whose model is in service."""
    return World(tmp_path)
