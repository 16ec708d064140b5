"""Each port on both of its sides: in memory, and the AWS adapter on moto."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from dropspot import aws


@pytest.fixture
def moto_cloud() -> Iterator[None]:
    """Give the adapters fresh clients on an empty cloud."""
    aws.client.cache_clear()
    with mock_aws():
        yield
    aws.client.cache_clear()


@pytest.fixture(params=["memory", "aws"])
def side(request: pytest.FixtureRequest) -> str:
    if request.param == "aws":
        request.getfixturevalue("moto_cloud")
    return str(request.param)
