import subprocess
from pathlib import Path

import pytest

from dropspot_cli import env_file


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "DROPSPOT_BUCKET": "b", "ODD": "it's a $HOME `x` #1"}
    env_file.write(tmp_path / "state" / "env", variables)
    assert env_file.read(tmp_path / "state" / "env") == variables


def test_a_shell_reads_the_same_values(tmp_path: Path) -> None:
    env_file.write(tmp_path / "env", {"ODD": "it's a $HOME `x` #1"})
    script = f'. "{tmp_path / "env"}" && printf %s "$ODD|${{AWS_PROFILE-unset}}"'
    environment = {"AWS_PROFILE": "somebody", "HOME": "/nowhere"}
    shell = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert shell.stdout == "it's a $HOME `x` #1|unset"


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    env_file.write(tmp_path / "env", {"AWS_SECRET_ACCESS_KEY": "test"})
    assert (tmp_path / "env").stat().st_mode & 0o077 == 0


def test_no_file_means_no_exports(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / "env") == {}


def test_a_profile_of_the_caller_does_not_stand_in_the_way() -> None:
    merged = env_file.apply(
        {"AWS_REGION": "us-east-1"}, {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "t", "HOME": "/h"}
    )
    assert merged["AWS_REGION"] == "us-east-1"
    assert merged["HOME"] == "/h"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & merged.keys()


@pytest.mark.parametrize(("before", "after"), [("", "127.0.0.1,localhost"), ("corp", "corp,127.0.0.1,localhost")])
def test_a_proxy_is_kept_away_from_loopback(before: str, after: str) -> None:
    merged = env_file.apply({}, {"NO_PROXY": before} if before else {})
    assert merged["NO_PROXY"] == after
