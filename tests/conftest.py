"""What every test starts from: no credentials that count, no endpoint that leads anywhere."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # `handlers` is imported by the tests of every folder

# Powertools reads these when a handler is imported.
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "dropspot")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")


def pytest_configure(config: pytest.Config) -> None:
    # A handler that had nothing to count says so; that is no fault of a test.
    config.addinivalue_line("filterwarnings", "ignore:No application metrics to publish:UserWarning")


@pytest.fixture(autouse=True)
def _no_real_account(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every AWS client of a test at no account; the end-to-end tests talk to the embedded cloud."""
    if request.node.get_closest_marker("e2e"):
        return
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
