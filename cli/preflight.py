"""What this machine must have before `make` can build anything: each missing thing is named, and what mends it.

Standard library only, and nothing newer than Python 3.8: it has to run on whatever `python3` is, to say what is wrong
with it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

SUPPORTED = ((3, 11), (3, 12), (3, 13))
TRAINING = (3, 11)  # the newest Python on which MXNet 1.9.1 runs unpatched

# MXNet links to these; the names are those of the dynamic loader
LIBRARIES = {"libgomp.so.1": "libgomp", "libquadmath.so.0": "libquadmath", "libstdc++.so.6": "libstdc++"}
PACKAGES: dict[str, dict[str, str]] = {
    "apt-get": {
        "libgomp": "libgomp1",
        "libquadmath": "libquadmath0",
        "libstdc++": "libstdc++6",
        "make": "make",
        "python": "python3",
        "venv": "python3-venv",
    },
    "dnf": {
        "libgomp": "libgomp",
        "libquadmath": "libquadmath",
        "libstdc++": "libstdc++",
        "make": "make",
        "python": "python3.11",
        "venv": "python3-pip",
    },
}
# Asked of an interpreter before it is used: its version, and whether it has the modules that a home-made build may lack
_PROBE = "import bz2, ctypes, lzma, ssl, sqlite3, zlib, sys; print(*sys.version_info[:2])"


class Missing(NamedTuple):
    """One thing that the machine lacks; `package` is a key of PACKAGES, or empty where no package brings it."""

    what: str
    package: str = ""
    remedy: str = ""


class Interpreters(NamedTuple):
    """The interpreters to build with; `training` is empty where uv has to fetch a Python 3.11."""

    main: str
    version: tuple[int, int]
    training: str


def probe(executable: str) -> tuple[int, int] | None:
    """Return the interpreter's (major, minor), or None where it doesn't run (a pyenv shim) or is incomplete."""
    try:
        answer = subprocess.run([executable, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True)
        major, minor = answer.stdout.split()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return int(major), int(minor)


def candidates(version: tuple[int, int]) -> list[str]:
    """Return the paths where a Python of this version may be, the likelier first."""
    name = "python{}.{}".format(*version)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    own = sorted((pyenv / "versions").glob(f"{name[6:]}.*/bin/python"))
    return [path for path in (shutil.which(name), *map(str, own)) if path]


def find(version: tuple[int, int]) -> str:
    """Return a working interpreter of this version, or the empty string."""
    return next((path for path in candidates(version) if probe(path) == version), "")


def interpreters() -> Interpreters | None:
    """Return the interpreters to use, or None where no supported one is found for the project itself."""
    running = (sys.version_info[0], sys.version_info[1])
    # outside a virtual environment: one inside may be removed while we build from it
    here = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    if running in SUPPORTED and probe(here) == running:
        main, version = here, running
    else:
        # the newest first: the training environment alone needs the old one
        version = next((one for one in reversed(SUPPORTED) if find(one)), (0, 0))
        main = find(version) if version in SUPPORTED else ""
    if not main:
        return None
    return Interpreters(main, version, main if version == TRAINING else find(TRAINING))


def can_make_environments(executable: str) -> bool:
    """Whether there is any way to a first environment with pip in it: ensurepip, a pip of the system's, or uv."""
    if shutil.which("uv"):
        return True
    for module in ("ensurepip._bundled", "pip"):
        if not subprocess.run([executable, "-c", "import " + module], capture_output=True, check=False).returncode:
            return True
    # Debian's ensurepip brings no wheels of its own: it reads the system's, where python3-venv has put them
    return not subprocess.run([executable, "-m", "ensurepip", "--version"], capture_output=True, check=False).returncode


def missing(chosen: Interpreters | None) -> list[Missing]:
    """Return everything that this machine lacks."""
    lacks = []
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        lacks.append(
            Missing(
                "Linux on x86-64 (MXNet, with which the detector is trained here, exists for nothing else)",
                remedy="use a Linux x86-64 machine, virtual machine or container",
            )
        )
    if chosen is None:
        lacks.append(Missing("Python 3.11, 3.12 or 3.13", "python"))
    elif not can_make_environments(chosen.main):
        lacks.append(Missing("the venv module of " + chosen.main, "venv"))
    if shutil.which("make") is None:
        lacks.append(Missing("make", "make"))
    for library, package in LIBRARIES.items():
        if not loadable(library):
            lacks.append(Missing(library, package))
    return lacks


def loadable(library: str) -> bool:
    """Whether the dynamic loader finds this library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def remedy(lacks: Sequence[Missing]) -> str:
    """Return the one command that installs all that a package can bring, or the empty string."""
    manager = next((name for name in PACKAGES if shutil.which(name)), "apt-get")
    names = sorted({PACKAGES[manager][thing.package] for thing in lacks if thing.package})
    if not names:
        return ""
    root = "" if os.geteuid() == 0 else "sudo "
    if manager == "apt-get":
        return "{0}apt-get update && {0}apt-get install -y {1}".format(root, " ".join(names))
    return "{}{} install -y {}".format(root, manager, " ".join(names))


def report(lacks: Sequence[Missing]) -> str:
    """Return the message for somebody whose machine lacks these things."""
    lines = ["This machine lacks:", *("  - " + thing.what for thing in lacks)]
    lines += [thing.remedy[:1].upper() + thing.remedy[1:] + "." for thing in lacks if thing.remedy]
    command = remedy(lacks)
    if command:
        lines += ["Install with:", "  " + command]
    return "\n".join(lines)
