"""`dropspot prepare`: what it starts, what it passes on, and that it works on real files."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from unit.prep.minis import MiniDataset

from dropspot.errors import NotFoundError
from dropspot_cli.preparing import prepare
from dropspot_cli.project import Project

ROOT = Path(__file__).parents[3]


def stand_in(root: Path, script: str) -> Project:
    """A checkout whose prep environment is a shell script."""
    python = root / ".envs" / "prep" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return Project(root)


def console() -> tuple[Console, io.StringIO]:
    told = io.StringIO()
    return Console(file=told, width=200), told


def test_the_arguments_reach_the_preparation_with_the_checkouts_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = stand_in(tmp_path, 'echo "$PYTHONPATH"; printf "%s|" "$@"')
    errors, told = console()
    code = prepare(
        project, [Path("-a"), Path("b c")], Path("out"), errors, plan=Path("p"), workers=0, prepared_uri="s3://x/y"
    )
    path, arguments = capfd.readouterr().out.splitlines()
    assert (code, told.getvalue()) == (0, "")
    assert path.split(":") == [str(tmp_path / part) for part in ("prep_container", "layers/shared", "layers/imaging")]
    assert arguments == "-m|prep|--plan|p|--workers|0|--prepared-uri|s3://x/y|--|-a|b c|out|"


def test_code_and_sentence_are_passed_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    errors, told = console()
    project = stand_in(tmp_path, "echo prepared 1/2 images; echo 'the data set [x] is empty' >&2; exit 7")
    assert prepare(project, [Path("a")], Path("b"), errors) == 7
    assert told.getvalue() == "dropspot: the data set [x] is empty\n"
    assert capfd.readouterr().out == "prepared 1/2 images\n"


def test_a_death_without_a_word_is_told(tmp_path: Path) -> None:
    errors, told = console()
    assert prepare(stand_in(tmp_path, "kill -9 $$"), [Path("a")], Path("b"), errors) == -signal.SIGKILL
    assert "ended without a word" in told.getvalue()


def test_without_the_environment_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="run `make setup` first"):
        prepare(Project(tmp_path), [Path("a")], Path("b"), console()[0])


@pytest.fixture
def mini(tmp_path: Path) -> MiniDataset:
    return MiniDataset(tmp_path / "ml").good(12)


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dropspot_cli.main", "prepare", *map(str, words)]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_folder_is_prepared_without_a_cloud(mini: MiniDataset, tmp_path: Path) -> None:
    job = start(mini.paths.dataset, tmp_path / "out")
    out, err = job.communicate(timeout=60)
    assert (job.returncode, err) == (0, "")
    assert "prepared 12/12 images, " in out
    assert json.loads((tmp_path / "out" / "report" / "report.json").read_text())["images"]["used"] == 12


def test_a_data_set_that_cannot_be_used_is_one_sentence(mini: MiniDataset, tmp_path: Path) -> None:
    job = start(mini.paths.dataset / "images", tmp_path / "out")
    _, err = job.communicate(timeout=60)
    assert job.returncode == 1
    assert err.startswith("dropspot: the data set has no usable annotation")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_stops_it_cleanly(mini: MiniDataset, tmp_path: Path, signum: signal.Signals, code: int) -> None:
    out = tmp_path / "out"
    for i in range(200):
        mini.pair(f"large_{i}", i, size=(900, 900))
    job = start(mini.paths.dataset, out, "--workers", 1)
    deadline = time.monotonic() + 30
    while not list(out.glob(".preparing/prep-*/pictures/*.jpg")):
        assert time.monotonic() < deadline, "no picture was decoded"
        time.sleep(0.02)
    job.send_signal(signum)
    _, err = job.communicate(timeout=20)
    assert job.returncode == code
    assert err == "dropspot: preparation was stopped before it was finished\n"
    assert not out.exists()
