"""What the tests of the embedded cloud leave behind: nothing."""

import os
import tempfile

# Importing the emulator makes it write keys to a fixed place unless told another, so this comes before any test module.
_FOLDER = tempfile.TemporaryDirectory(prefix="emulator-")
os.environ.setdefault("STATE_DIR", _FOLDER.name)


def pytest_unconfigure() -> None:
    _FOLDER.cleanup()
