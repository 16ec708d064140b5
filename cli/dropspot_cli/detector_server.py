"""detector_container's server as a process of this machine, with a model, on the loopback interface."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dropspot.errors import InvalidInputError, TransientError
from dropspot_cli.project import Project

HOST = "127.0.0.1"
CODE = ("detector_container", "layers/shared", "layers/imaging")
_KEPT_LINES = 50
_STOP_SECONDS = 40.0  # the server gives requests under way 25 s
_ANSWER_SECONDS = 90.0  # the server itself gives up after 60 s
_ATTEMPTS = 20  # at a picture that the server is too busy for


class DetectorServer:
    """The serve command with the model below `root`/model; as a context it is stopped at the end.

    `model` is what its sentences call the model, `on_line` gets each line of its log. Without a port it takes a free
    one.
    """

    def __init__(
        self,
        project: Project,
        root: Path,
        model: Path,
        port: int | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        python = project.program("detector-serve", "python")
        self.port = _free_port(port or 0)
        self._log: deque[str] = deque(maxlen=_KEPT_LINES)
        self._on_line = on_line
        self._called = str(root / "model"), str(model)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(project.root / part) for part in CODE),
            "DROPSPOT_ML_ROOT": str(root),
            "DROPSPOT_BIND_HOST": HOST,
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
        }
        # a session of its own: Ctrl-C must not reach it past this process
        self._process = subprocess.Popen(
            [python, "-m", "detector.serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join()

    def wait_until_ready(self) -> None:
        """Return once it can answer; raise InvalidInputError, with its own sentence, where it ends instead."""
        while True:
            if self._process.poll() is not None:
                raise InvalidInputError(self.why_it_ended())
            try:
                if self._request("GET", "/ping")[0] == http.client.OK:
                    return
            except (OSError, http.client.HTTPException):
                pass  # it doesn't listen yet
            time.sleep(0.05)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        return self._process.wait()

    def why_it_ended(self) -> str:
        """Return the last error in its log as a sentence."""
        self._reader.join()
        errors = [line.partition("] ")[2] for line in self._log if " ERROR " in line.partition("]")[0]]
        if errors:
            return errors[-1].replace(*self._called)
        return f"the server ended without a word (exit code {self._process.returncode})"

    def look_at(self, picture: bytes, content_type: str) -> dict[str, Any]:
        """Return the answer to a compressed picture; raise InvalidInputError where it is refused."""
        headers = {"content-type": content_type}
        status, body = self._request("POST", "/invocations", picture, headers)
        for _ in range(_ATTEMPTS):
            if status != http.client.SERVICE_UNAVAILABLE:
                break
            time.sleep(1.0)
            status, body = self._request("POST", "/invocations", picture, headers)
        answer: dict[str, Any] = json.loads(body)
        if status == http.client.OK:
            return answer
        kind = InvalidInputError if status < http.client.INTERNAL_SERVER_ERROR else TransientError
        raise kind(str(answer.get("error", f"the server answered {status}")))

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                self._log.append(line.rstrip("\n"))
                if self._on_line is not None:
                    self._on_line(self._log[-1])


def _free_port(wanted: int) -> int:
    """Return the port where it is free, any free one for 0; raise InvalidInputError where it is taken.

    Asked beforehand, so that another server that listens there is never taken for ours.
    """
    try:
        with socket.create_server((HOST, wanted)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise InvalidInputError(f"can't listen on {HOST}:{wanted}: {os.strerror(error.errno or 0)}") from error
