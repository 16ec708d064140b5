import pytest
from road import Road


@pytest.fixture
def road() -> Road:
    return Road()
