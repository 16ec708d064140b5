"""The checkout: where its parts and its state lie."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from dropspot.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout of dropspot. What running it leaves behind is below `state`, except environments and builds."""

    root: Path

    @classmethod
    def here(cls) -> "Project":
        """Return the checkout that this command was installed from, or that the working folder lies in."""
        start = Path.cwd()
        for folder in (Path(__file__).resolve().parents[2], start, *start.parents):
            if (folder / "template.yaml").is_file() and (folder / "samconfig.toml").is_file():
                return cls(folder)
        raise NotFoundError(f"{start} is in no checkout of dropspot: change to the folder that holds template.yaml.")

    @property
    def state(self) -> Path:
        """The folder of the embedded cloud; DROPSPOT_STATE names another one, so that two clouds can be up at once."""
        return Path(os.environ.get("DROPSPOT_STATE") or self.root / ".dropspot").resolve()

    @property
    def local_build(self) -> Path:
        """Where `sam build` puts what the embedded cloud gets: with the state, so that two clouds never share it."""
        return self.state / "sam"

    @property
    def env_file(self) -> Path:
        return self.state / "env"

    @property
    def results(self) -> Path:
        return self.state / "results"

    @property
    def downloads(self) -> Path:
        return self.root / "data"

    def program(self, environment: str, name: str) -> Path:
        """Return a program of one of the environments of `make setup`; raise NotFoundError where it isn't there."""
        folder = self.root / (".venv" if environment == "main" else f".envs/{environment}")
        path = folder / "bin" / name
        if not path.exists():
            raise NotFoundError(f"{path.relative_to(self.root)} is missing: run `make setup` first.")
        return path


def wheel_platform() -> str:
    """Return this machine's platform as uv names it for wheels."""
    return f"{platform.machine()}-manylinux_2_28"
