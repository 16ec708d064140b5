"""The real `sam build` and `sam deploy`, for the embedded cloud and for AWS."""

import os
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dropspot.errors import DropspotError, InvalidInputError
from dropspot_cli.project import Project, wheel_platform

LOCAL = "local"


def local_build_variables(project: Project) -> dict[str, str]:
    """Return what makes the layers' makefiles build for the interpreter that runs the embedded cloud's handlers."""
    python = project.program("lambda", "python")
    version = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return {"DROPSPOT_LAYER_PYTHON": version, "DROPSPOT_LAYER_PLATFORM": wheel_platform()}


def build_locally(project: Project, log: Path) -> None:
    """Build the template for the embedded cloud, in the state folder."""
    arguments = ["build", "--config-env", LOCAL, "--build-dir", str(project.local_build)]
    _quietly(project, "sam build", arguments, log, local_build_variables(project))


def build(project: Project, log: Path) -> None:
    """Build the template for Lambda, into the folder that samconfig.toml names."""
    _quietly(project, "sam build", ["build"], log, {})


def deploy_locally(project: Project, log: Path, stack: str, overrides: Mapping[str, str]) -> None:
    """Deploy the build to the embedded cloud, which is this process's AWS already."""
    parameters = local_parameters(project, overrides)
    template = project.local_build / "template.yaml"
    # sam looks for its configuration beside the template, and the built one lies elsewhere
    config = ["--config-file", str(project.root / "samconfig.toml"), "--config-env", LOCAL]
    arguments = ["deploy", *config, "--template-file", str(template), "--stack-name", stack]
    arguments += ["--no-progressbar", "--no-confirm-changeset", "--parameter-overrides", *parameters]
    _quietly(project, "sam deploy", arguments, log, {})


def local_parameters(project: Project, overrides: Mapping[str, str]) -> list[str]:
    """Return samconfig.toml's parameters for the embedded cloud with the overrides laid over them.

    `sam` takes overrides in place of the file's, so they are merged here.
    """
    config = tomllib.loads((project.root / "samconfig.toml").read_text(encoding="utf-8"))
    stated = config[LOCAL]["deploy"]["parameters"]["parameter_overrides"]
    merged = parse_parameters(stated if isinstance(stated, list) else stated.split()) | dict(overrides)
    return [f"ParameterKey={key},ParameterValue={value}" for key, value in merged.items()]


def parse_parameters(words: Sequence[str]) -> dict[str, str]:
    """Return `KEY=VALUE` words as a mapping; raise InvalidInputError for a word that isn't one."""
    pairs = [word.partition("=") for word in words]
    for word, (key, equals, _) in zip(words, pairs, strict=True):
        if not equals or not key.isalnum():
            raise InvalidInputError(f"{word!r} is no parameter: write it as Name=value.")
    return {key: value for key, _, value in pairs}


def deploy_guided(project: Project, stack: str, parameters: Mapping[str, str]) -> None:
    """Deploy the AWS build in a conversation with the user."""
    words = [f"ParameterKey={key},ParameterValue={value}" for key, value in parameters.items()]
    command = [str(project.program("sam", "sam")), "deploy", "--guided", "--stack-name", stack]
    if words:
        command += ["--parameter-overrides", *words]
    done = subprocess.run(command, cwd=project.root, env=_environment(project, {}), check=False)
    if done.returncode:
        raise DropspotError(f"sam deploy ended with exit code {done.returncode}.")


def _environment(project: Project, variables: Mapping[str, str]) -> dict[str, str]:
    uv = str(project.program("main", "uv"))  # the layers' makefiles install with it
    return os.environ | {"SAM_CLI_TELEMETRY": "0", "UV": uv} | dict(variables)


def _quietly(project: Project, what: str, arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
    """Run sam with its output in the log; raise DropspotError with its last words where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # sam leaves an empty temporary folder behind for every function that it builds
    with tempfile.TemporaryDirectory(dir=log.parent) as scratch, log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(project.program("sam", "sam")), *arguments],
            cwd=project.root,
            env=_environment(project, {**variables, "TMPDIR": scratch}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        lines = [
            line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
        raise DropspotError(f"{what} failed: {' / '.join(lines[-3:])} (all of it in {log})")
