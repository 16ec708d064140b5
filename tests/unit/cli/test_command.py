"""The command as a user meets it: its words, its sentences, its exit codes."""

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from rich.console import Console
from typer.testing import CliRunner

from dropspot.errors import InvalidInputError, NotFoundError
from dropspot_cli import main
from dropspot_cli.console import counted, duration
from dropspot_cli.demo import material
from dropspot_cli.embedded import down
from dropspot_cli.project import Project
from dropspot_cli.sentences import sentence
from dropspot_local.cloud import Cloud, CloudError

VERBS = (
    *("up", "down", "push", "watch", "runs", "detect", "env", "retrain", "teardown", "deploy", "demo"),
    *("approve", "reject", "rollback"),
    *("backfill", "audit", "redrive"),
    *("prepare", "train", "evaluate", "serve"),
)


def dropspot(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where no cloud is up and no AWS can be reached."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DROPSPOT_STATE": str(tmp_path),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "dropspot_cli.main", *arguments]
    return subprocess.run(
        command, env=environment | nowhere, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_lists_every_verb(tmp_path: Path) -> None:
    shown = dropspot(tmp_path, "--help")
    assert shown.returncode == 0
    listed = {line.split()[1] for line in shown.stdout.splitlines() if line.startswith("│") and len(line.split()) > 2}
    assert set(VERBS) <= listed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("runs",), "No cloud is chosen: start the embedded one with `dropspot up`, or set AWS_REGION"),
        (("demo", "--dataset", "/no/such/folder"), "/no/such/folder does not exist"),
        (("up", "--parameter", "Settle"), "'Settle' is no parameter: write it as Name=value"),
        (("train", ".", "/no/out"), ". holds no prepared data: give the folder that `dropspot prepare` wrote"),
        (("evaluate", "/no/model", "."), ". holds no prepared data: give the folder that `dropspot prepare` wrote"),
        (("serve", "/no/model"), "/no/model does not exist"),
    ],
)
def test_an_expected_failure_is_one_sentence_and_exit_code_one(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = dropspot(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("dropspot: ")
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_misused_option_is_explained_by_the_command_line_itself(tmp_path: Path) -> None:
    done = dropspot(tmp_path, "detect")
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_down_where_nothing_is_up_is_no_failure(tmp_path: Path) -> None:
    done = dropspot(tmp_path, "down")
    assert done.returncode == 0
    assert "was not up" in done.stdout


def test_a_folder_of_the_users_own_is_neither_taken_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for verb in ("up", "down"):
        done = dropspot(tmp_path, verb)
        assert done.returncode == 1
        assert "nothing in it was touched" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("is_up", [True, False])
def test_an_interrupted_up_says_that_the_cloud_is_up(monkeypatch: pytest.MonkeyPatch, is_up: bool) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "cloud_up", interrupted)
    running = Cloud(1, 1, 4566, "/state") if is_up else None
    monkeypatch.setattr(main.cloud, "status", lambda *_, **__: running)
    done = CliRunner().invoke(main.app, ["up"])
    assert done.exit_code == 130
    assert ("The embedded cloud is still up: `make down` stops it" in done.output) is is_up


def test_a_down_waits_for_another_to_end(tmp_path: Path, screen: Console) -> None:
    (tmp_path / "template.yaml").touch()
    project = Project(tmp_path)
    with (tmp_path / "template.yaml").open() as held, ThreadPoolExecutor() as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = pool.submit(down, project, screen)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        fcntl.flock(held, fcntl.LOCK_UN)
        waiting.result(timeout=10)
    assert [entry.name for entry in tmp_path.iterdir()] == ["template.yaml"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFoundError("There is no such run."), "There is no such run."),
        (CloudError("No port is free."), "No port is free."),
        (
            NoCredentialsError(),
            "AWS credentials are missing: sign in (`aws configure`, `aws sso login`) or set AWS_PROFILE.",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "PutObject"),
            "AWS refused PutObject: AccessDenied: not yours",
        ),
        (FileNotFoundError(2, "No such file or directory", "/a/b"), "/a/b does not exist."),
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied."),
    ],
)
def test_expected_errors_have_a_sentence(error: Exception, told: str) -> None:
    assert sentence(error) == told


def test_an_unreachable_cloud_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    told = sentence(EndpointConnectionError(endpoint_url="http://127.0.0.1:9/"))
    assert told is not None
    assert told.startswith("http://127.0.0.1:9 can't be reached: ")


@pytest.mark.parametrize("error", [KeyError("box"), OSError("something"), ValueError("x")])
def test_our_own_mistakes_have_none(error: Exception) -> None:
    assert sentence(error) is None


def test_the_demo_takes_a_folder_or_an_archive_and_nothing_else(tmp_path: Path, screen: Console) -> None:
    project = Project(tmp_path)
    for name in ("pets.tar.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert material("", project, screen).sources is None
    assert material(str(tmp_path), project, screen).sources == [tmp_path]
    assert material(str(tmp_path / "pets.tar.gz"), project, screen).name == "pets"
    with pytest.raises(InvalidInputError, match="neither a folder nor an archive"):
        material(str(tmp_path / "notes.txt"), project, screen)


def test_the_published_data_set_is_not_downloaded_twice(tmp_path: Path, screen: Console) -> None:
    project = Project(tmp_path)
    folder = project.downloads / "oxford-pets"
    folder.mkdir(parents=True)
    archives = [folder / "images.tar.gz", folder / "annotations.tar.gz"]
    for archive in archives:
        archive.touch()
    found = material("oxford-pets", project, screen)
    assert found.name == "oxford-pets"
    assert found.sources == archives


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-1, "0 s"), (0.4, "0 s"), (59, "59 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")],
)
def test_lengths_of_time_are_told_as_people_do(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_counts_agree_with_their_noun() -> None:
    assert [counted(1, "box", "boxes"), counted(2, "box", "boxes"), counted(0, "file")] == [
        "1 box",
        "2 boxes",
        "0 files",
    ]
