"""Importing a handler reads nothing, makes nothing and loads nothing heavy: that is the cold start."""

import os
import subprocess
import sys

import pytest
from handlers import FUNCTIONS

LAYER = FUNCTIONS.parent / "layers" / "shared"
# botocore's package alone is a few lines, which Powertools announces itself to; its session is where the weight begins.
HEAVY = {"boto3", "botocore.session", "mxnet", "sagemaker", "numpy", "PIL", "pydantic"}

PROBE = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event in {"socket.connect", "subprocess.Popen"} else None)
import app
print("loaded:", *sorted(sys.modules))
print("did:", *opened)
"""


@pytest.mark.parametrize("function", sorted(path.parent.name for path in FUNCTIONS.glob("*/app.py")))
def test_importing_a_handler_loads_nothing_heavy_and_needs_no_environment(function: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(FUNCTIONS / function), str(LAYER)])}
    probe = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert probe.returncode == 0, probe.stderr
    loaded, did = probe.stdout.splitlines()
    assert HEAVY & set(loaded.split()) == set()
    assert did == "did:"
