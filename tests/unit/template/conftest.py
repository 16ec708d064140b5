"""What the template's tests share: the scripts beside the template, and the template as it deploys."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "scripts"))

from unit.template.deployed import Stack, deploy  # noqa: E402  (needs the scripts' folder on the path)


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack as it deploys with its defaults."""
    return deploy()
