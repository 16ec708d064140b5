"""What the tests of the embedded cloud leave behind: nothing."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _emulators_own_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Some tests import the emulator into this process, which then writes keys to a fixed place unless told another."""
    os.environ.setdefault("STATE_DIR", str(tmp_path_factory.mktemp("emulator")))
