"""The processes that are measured: the server, its clients, and the same work without a server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from client import post

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVE_PYTHON = ROOT / ".envs" / "detector-serve" / "bin" / "python"
TRAIN_PYTHON = ROOT / ".envs" / "detector-train" / "bin" / "python"
_PATH = os.pathsep.join(str(ROOT / part) for part in ("detector_container", "layers/shared", "layers/imaging"))


def environment(**more: str) -> dict[str, str]:
    """The environment variables of a process that runs the detector's code."""
    return dict(os.environ) | {"PYTHONPATH": _PATH} | more


class Conversation:
    """A process that answers each line by a line."""

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.greeting = self.answer()

    def ask(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with code {self._process.wait()}")
        return line.strip()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)  # the end of its input ends it


def in_process(model: Path, picture: Path) -> Conversation:
    """Start in_process.py in the serving environment."""
    return Conversation(SERVE_PYTHON, HERE / "in_process.py", model, picture)


class Server:
    """The real `serve` command, on a free port; it is started anew by each `with`."""

    def __init__(self, ml_root: Path, picture: Path) -> None:
        self._picture = picture
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._environment = environment(
            DROPSPOT_ML_ROOT=str(ml_root), SAGEMAKER_BIND_TO_PORT=str(self.port), DROPSPOT_BIND_HOST="127.0.0.1"
        )
        self.seconds_to_first_answer = 0.0

    def __enter__(self) -> Server:
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [SERVE_PYTHON, "-m", "detector.serve"], env=self._environment, stdout=subprocess.DEVNULL
        )
        data = self._picture.read_bytes()
        head = (
            f"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: image/jpeg\r\ncontent-length: {len(data)}\r\n"
        )
        request = head.encode() + b"connection: close\r\n\r\n" + data
        while time.perf_counter() - began < 60:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                    post(connection, request)
                self.seconds_to_first_answer = time.perf_counter() - began
                return self
            except (OSError, RuntimeError):  # it does not listen, or has no model yet
                time.sleep(0.01)
        self._process.kill()
        raise RuntimeError("the server did not answer within a minute")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)

    def resident_mib(self) -> tuple[float, float]:
        """Return what supervisor and worker hold in memory now, and the sum of the most each has held."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        fields = [_status(pid) for pid in (str(self._process.pid), *children)]
        return sum(one["VmRSS"] for one in fields) / 1024, sum(one["VmHWM"] for one in fields) / 1024

    def client(self) -> Conversation:
        """Start client.py; it keeps its connection until it ends."""
        return Conversation(sys.executable, HERE / "client.py", str(self.port), self._picture)


def posted(clients: list[Conversation], seconds: float) -> list[list[float]]:
    """Have clients post at once for so many seconds; return for each client the seconds of each picture."""
    for client in clients:
        client.ask(str(seconds))
    return [json.loads(client.answer()) for client in clients]


def _status(pid: str) -> dict[str, int]:
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[0] in ("VmRSS:", "VmHWM:")}


def random_model(folder: Path, network: str, side: int) -> None:
    """Write a model folder with random weights and two classes."""
    command: list[Any] = [TRAIN_PYTHON, HERE / "random_model.py", folder, network, str(side), "2"]
    subprocess.run(command, env=environment(), check=True, timeout=120)
