"""What the image is built from is there (building it needs Docker, which a test machine may lack)."""

import os
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "detector_container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def instructions(name: str) -> list[list[str]]:
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return [shlex.split(line)[1:] for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_every_file_that_is_copied_exists() -> None:
    sources = [source for words in instructions("COPY") for source in words[:-1]]
    assert len(sources) >= 7
    assert [source for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("command", ["train", "serve"])
def test_sagemakers_commands_start_the_modules(command: str) -> None:
    script = FOLDER / command
    assert os.access(script, os.X_OK)
    assert f"/opt/{command}/bin/python -m detector.{command}\n" in script.read_text()
    assert (FOLDER / "detector" / f"{command}.py").is_file()


@pytest.mark.parametrize("name", ["train", "serve", "weights"])
def test_requirements_are_pinned_by_hash_and_name_no_index(name: str) -> None:
    lock = (FOLDER / f"requirements-{name}.txt").read_text()
    pins = re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)
    asked = re.findall(r"^([a-z0-9-]+)", (FOLDER / f"requirements-{name}.in").read_text(), re.MULTILINE)
    assert set(asked) <= set(pins)
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock


def test_the_side_that_meets_the_network_has_no_mxnet() -> None:
    assert "mxnet" in (FOLDER / "requirements-train.txt").read_text()
    assert "mxnet" not in (FOLDER / "requirements-serve.txt").read_text()
