"""A model's container as a local web server: its artifact unpacked, `serve` started, /ping and /invocations asked."""

from __future__ import annotations

import http.client
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropspot_local.sagemaker import staging
from dropspot_local.sagemaker.container import ContainerProcess, container_environment
from dropspot_local.sagemaker.logs import LogStream
from dropspot_local.sagemaker.state import Record, Site

HOST = "127.0.0.1"
PING_SECONDS = 2
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
PING_INTERVAL_SECONDS = 0.2
STOP_GRACE_SECONDS = 30
STARTS = 3
"""How often a container may end before it was healthy. The service goes on until its time-out; here a container that
can't start would only keep somebody waiting."""


class NotHealthyError(Exception):
    """The container never answered /ping with 200."""


class InvocationTimeoutError(Exception):
    """The container didn't answer in time, or not at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the container answered."""

    status: int
    content_type: str
    body: bytes
    attributes: str = ""  # the custom attributes that the container puts into the answer's headers


class ModelServer:
    """One model served by one process. `start` brings it up, `ensure_running` restarts it after a crash."""

    def __init__(
        self, site: Site, s3: Any, model: Record, folder: Path, log: LogStream, environment: Mapping[str, str]
    ) -> None:
        container = model["PrimaryContainer"]
        self._image = site.images.find(container["Image"])
        self._command = self._image.command(container["Image"], "serve")
        self._artifact = container.get("ModelDataUrl")
        self._own = {**container.get("Environment", {}), **environment}
        self._site, self._s3, self._folder, self._log = site, s3, folder, log
        self._root = folder / "ml"
        self._process: ContainerProcess | None = None
        self._closing = threading.Event()
        self._restarting = threading.Lock()
        self.port = 0

    def start(self, seconds: float) -> None:
        """Bring the artifact in and serve; NotHealthyError unless /ping answers 200 within `seconds`."""
        model_folder = self._root / "model"
        model_folder.mkdir(parents=True, exist_ok=True)
        if self._artifact:
            archive = self._folder / "model.tar.gz"
            source = staging.S3Location.parse(self._artifact)
            staging.download_file(self._s3, source, archive)
            staging.unpack(archive, model_folder)
            archive.unlink()
        self._start_process()
        self._wait_until_healthy(seconds)

    def ensure_running(self, seconds: float) -> None:
        """Start a container that has ended again, as the service does."""
        with self._restarting:
            if self._closing.is_set() or self._process is None or self._process.exit_code is None:
                return
            self._log.write(f"The container ended with exit code {self._process.exit_code} and is started again.")
            self._process.end(0)
            self._start_process()
            self._wait_until_healthy(seconds)

    def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """POST to /invocations; InvocationTimeoutError when no answer comes within `seconds`."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=seconds)
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            response = connection.getresponse()
            content_type, attributes = (response.headers.get(name, "") for name in ("Content-Type", CUSTOM_ATTRIBUTES))
            return Answer(response.status, content_type, response.read(), attributes)
        except (OSError, http.client.HTTPException) as error:
            raise InvocationTimeoutError(str(error) or type(error).__name__) from error
        finally:
            connection.close()

    def close(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """End the process and remove its folder."""
        self._closing.set()
        with self._restarting:
            if self._process is not None:
                self._process.end(grace_seconds)
        shutil.rmtree(self._folder, ignore_errors=True)

    def cancel(self) -> None:
        """Make a start that waits for health give up."""
        self._closing.set()

    def _start_process(self) -> None:
        self.port = free_port()
        service = {
            "AWS_REGION": self._site.region,
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "DROPSPOT_BIND_HOST": HOST,
        }
        environment = container_environment(self._root, self._image.environment, self._own, service)
        try:
            self._process = ContainerProcess(self._command, environment, self._root, self._log.write)
        except OSError as error:
            self._log.write(f"{self._command[0]}: {error.strerror}")
            raise NotHealthyError from error

    def _wait_until_healthy(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        starts = 1
        while time.monotonic() < deadline and not self._closing.is_set():
            if self._process is not None and self._process.exit_code is not None:
                if starts == STARTS:
                    break
                self._process.end(0)
                self._start_process()
                starts += 1
            elif ping(self.port):
                return
            self._closing.wait(PING_INTERVAL_SECONDS)
        raise NotHealthyError


def ping(port: int) -> bool:
    """Whether a container on this port says that it is healthy."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PING_SECONDS)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False  # not listening yet
    finally:
        connection.close()


def free_port() -> int:
    """A port of the loopback interface on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
