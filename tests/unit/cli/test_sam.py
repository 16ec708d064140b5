from pathlib import Path

import pytest

from dropspot.errors import DropspotError, InvalidInputError
from dropspot_cli import sam
from dropspot_cli.project import Project

CONFIG = """
[local.deploy.parameters]
parameter_overrides = ["PrepImage=a/b:local", "SettleSeconds=3"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("DROPSPOT_STATE", raising=False)
    (tmp_path / "samconfig.toml").write_text(CONFIG)
    return Project(tmp_path)


def program(project: Project, environment: str, name: str, text: str) -> None:
    path = project.root / environment / "bin" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_parameters_are_laid_over_those_of_the_file(project: Project) -> None:
    assert sam.local_parameters(project, {"SettleSeconds": "9", "ServedDataset": "My Pets"}) == [
        "ParameterKey=PrepImage,ParameterValue=a/b:local",
        "ParameterKey=SettleSeconds,ParameterValue=9",
        "ParameterKey=ServedDataset,ParameterValue=My Pets",
    ]


@pytest.mark.parametrize("word", ["SettleSeconds", "=3", "a b=3"])
def test_a_word_that_is_no_parameter_is_refused(word: str) -> None:
    with pytest.raises(InvalidInputError, match="write it as Name=value"):
        sam.parse_parameters([word])


def test_a_value_may_hold_an_equals_sign() -> None:
    assert sam.parse_parameters(["RetrainingSchedule=rate(a=b)"]) == {"RetrainingSchedule": "rate(a=b)"}


def test_a_missing_environment_says_what_makes_it(project: Project) -> None:
    with pytest.raises(DropspotError, match=r"bin/sam is missing: run `make setup` first"):
        sam.build(project, project.state / "log")


def test_the_embedded_clouds_build_knows_its_interpreter_and_its_folder(project: Project) -> None:
    program(project, ".envs/lambda", "python", "echo 3.12")
    program(project, ".venv", "uv", "exit 1")
    program(project, ".envs/sam", "sam", 'echo "$@" $DROPSPOT_LAYER_PYTHON $UV')
    sam.build_locally(project, project.state / "log")
    told = (project.state / "log").read_text().split()
    assert told[:3] == ["build", "--config-env", "local"]
    assert told[-4:] == ["--build-dir", str(project.local_build), "3.12", str(project.root / ".venv/bin/uv")]


def test_a_failing_sam_is_told_by_its_last_words_and_its_log(project: Project) -> None:
    program(project, ".venv", "uv", "exit 1")
    program(project, ".envs/sam", "sam", "echo one; echo two; echo; echo Error: no such bucket >&2; exit 1")
    with pytest.raises(
        DropspotError, match=r"sam build failed: one / two / Error: no such bucket \(all of it in .*log\)"
    ):
        sam.build(project, project.state / "log")
