"""The real `serve` command in its own environment, on a free port."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

ROOT = Path(__file__).parents[3]
PYTHONPATH = os.pathsep.join(str(ROOT / folder) for folder in ("detector_container", "layers/shared", "layers/imaging"))
SERVE_PYTHON = ROOT / ".envs" / "detector-serve" / "bin" / "python"
COMMAND = ("-m", "detector.serve")
JPEG = {"content-type": "image/jpeg"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveServer:
    """A server process; as a context it is healthy at the beginning and is stopped at the end."""

    def __init__(self, root: Path, command: tuple[str, ...] = COMMAND, **environment: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        env = dict(os.environ) | {
            "PYTHONPATH": PYTHONPATH,
            "DROPSPOT_ML_ROOT": str(root),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "DROPSPOT_BIND_HOST": "127.0.0.1",
        }
        self.process = subprocess.Popen(
            [SERVE_PYTHON, *command],
            env=env | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> LiveServer:
        try:
            self.wait_until_healthy()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        code, log = self.stop()
        if kind is None:
            assert code == 0, log

    def stop(self) -> tuple[int, str]:
        """Ask it to end; return its exit code and its log."""
        self.process.terminate()
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and its log."""
        try:
            log, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, log

    def wait_until_healthy(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()[0]
            try:
                if httpx.get(f"{self.address}/ping", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet, or the worker has just been ended
            time.sleep(0.02)
        raise AssertionError("the server was not healthy in time")

    def post(self, data: Any, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.address}/invocations", content=data, headers=JPEG | headers, timeout=30)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def workers(self) -> list[int]:
        """Return the process ids of the supervisor's children."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in listed.split()]


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def answered(connection: socket.socket) -> bytes:
    """Return one answer on a connection that stays open: its head, and as many bytes as that announces."""
    answer = b""
    while True:
        head, end, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and (length is None or len(body) >= int(length[1])):
            return answer
        part = connection.recv(65536)
        assert part, f"the connection was closed after {answer!r}"
        answer += part
