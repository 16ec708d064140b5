"""`.dropspot/env`: exports with which the AWS CLI, any SDK and this command talk to the embedded cloud."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

# Set in the caller's shell, either would win over the exports or be sent along with them.
_IN_THE_WAY = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
_EXPORT = re.compile(r"export ([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def render(variables: Mapping[str, str]) -> str:
    """Return the file's text, to be read by a POSIX shell."""
    lines = ["# Talk to the embedded cloud from this shell: source .dropspot/env"]
    lines += [f"unset {name}" for name in _IN_THE_WAY if name not in variables]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """Return the exports of a file that `render` wrote; other lines say nothing."""
    found = filter(None, map(_EXPORT.fullmatch, text.splitlines()))
    return {match[1]: " ".join(shlex.split(match[2])) for match in found}


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Write the file, readable by its owner alone, in one step: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(render(variables), encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> dict[str, str]:
    """Return the exports, none where there is no file."""
    return parse(path.read_text(encoding="utf-8")) if path.is_file() else {}


def apply(variables: Mapping[str, str], environment: dict[str, str]) -> dict[str, str]:
    """Return `environment` with the exports laid over it, for this process or a child of it."""
    merged = {name: value for name, value in environment.items() if name not in _IN_THE_WAY} | dict(variables)
    # a proxy that the machine uses for the outside world can't reach this machine's own loopback
    for name in ("NO_PROXY", "no_proxy"):
        merged[name] = ",".join(filter(None, [merged.get(name, ""), "127.0.0.1,localhost"]))
    return merged
