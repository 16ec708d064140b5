import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from dropspot.runs import Run
from dropspot.testing import MemoryStore

sys.path.append(str(Path(__file__).parent))  # for run_documents


@pytest.fixture
def screen() -> Console:
    """A console that keeps what it is told: `screen.file.getvalue()`."""
    return Console(file=io.StringIO(), width=160, highlight=False)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("data-bucket")


@pytest.fixture
def run() -> Run:
    return Run("dropspot", "pets-0123456789")
