"""What the template's tests share: the template as it deploys."""

import pytest
from unit.template.deployed import Stack, deploy


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack as it deploys with its defaults."""
    return deploy()
