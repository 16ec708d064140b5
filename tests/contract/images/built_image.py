"""What a Dockerfile makes, made without Docker: its environments, its files and its variables below a folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
UV = ROOT / ".venv" / "bin" / "uv"
_OF_THE_SYSTEM = "/usr/local"  # where the base image's own Python is
_LEFT_OUT = ("apt-get", "rm")  # the system's packages, and what a layer no longer needs


@dataclass
class BuiltImage:
    """`root` stands for the image's `/`; every path in commands and scripts is moved below it."""

    root: Path
    python: str  # the interpreter in the base image's place
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)

    @classmethod
    def build(cls, dockerfile: Path, root: Path, python: str) -> BuiltImage:
        """Follow the Dockerfile's instructions; AssertionError for one that isn't known here."""
        image = cls(root, python)
        text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE))
        for line in filter(None, map(str.strip, text.splitlines())):
            instruction, rest = line.split(" ", 1)
            if instruction == "COPY":
                image._copy(shlex.split(rest))
            elif instruction == "ENV":
                pairs = (word.split("=", 1) for word in shlex.split(rest))
                image.environment |= {name: image._moved(value) for name, value in pairs}
            elif instruction == "RUN":
                for command in rest.split("&&"):
                    image._run(shlex.split(command))
            elif instruction == "ENTRYPOINT":
                image.entrypoint = re.findall(r'"([^"]+)"', rest)
            else:
                assert instruction in {"FROM", "WORKDIR", "EXPOSE"}, line
        return image

    def start(self, command: list[str], **variables: str) -> subprocess.Popen[str]:
        """Start a command of the image with the image's variables and nothing of this process's own."""
        environment = {"PATH": f"{self.root}{_OF_THE_SYSTEM}/bin:/usr/bin:/bin"} | self.environment | variables
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        return subprocess.Popen(
            [program, *command[1:]],
            env=environment,
            cwd=self.root / "opt" / "program",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: list[str], **variables: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it said."""
        with self.start(command, **variables) as process:
            said, _ = process.communicate(timeout=100)
            return process.returncode, said

    def _moved(self, path: str) -> str:
        return re.sub(r"(?<![\w.])/(?=(?:opt|tmp|usr/local)(?:/|$))", f"{self.root}/", path)

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        place = Path(self._moved(target))
        for source in sources:
            origin = ROOT / source
            if origin.is_dir():
                shutil.copytree(origin, place, ignore=shutil.ignore_patterns("__pycache__"))
                continue
            file = place / origin.name if target.endswith("/") else place
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, file)
            if file.parent.name == "bin":
                file.write_text(self._moved(file.read_text()))

    def _run(self, words: list[str]) -> None:
        if words[1:3] == ["-m", "venv"]:
            self._make_environment(words[3])
        elif words[0].endswith("pip"):
            folder = str(Path(words[0]).parents[1]) if "/" in words[0] else _OF_THE_SYSTEM
            self._install(folder, words[2:])
        elif words[0].endswith("python"):
            interpreter = self._moved(words[0] if "/" in words[0] else f"{_OF_THE_SYSTEM}/bin/{words[0]}")
            _succeed([interpreter, *map(self._moved, words[1:])], {"PATH": "/usr/bin:/bin"} | self.environment)
        else:
            assert words[0] in _LEFT_OUT, words

    def _make_environment(self, folder: str) -> None:
        _succeed([str(UV), "venv", "--quiet", "--python", self.python, self._moved(folder)], _own())

    def _install(self, folder: str, options: list[str]) -> None:
        if not Path(self._moved(folder)).exists():
            self._make_environment(folder)
        kept = [self._moved(option) for option in options if option != "--no-cache-dir"]
        _succeed([str(UV), "pip", "install", "--quiet", "--python", f"{self._moved(folder)}/bin/python", *kept], _own())


def _own() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}


def _succeed(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}{done.stderr}"
