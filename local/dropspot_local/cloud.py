"""Starting and stopping the embedded cloud of a checkout.

There is one server per state folder. `cloud.pid` names it for good: its pid together with the time it was started, so
that a pid which another process has got since is not mistaken for it. A lock on the checkout's folder keeps two starts
apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dropspot_local import processes
from dropspot_local.settings import ACCOUNT, ADMINISTRATOR_KEY, HOST, REGION, server_environment

FIRST_PORT = 4566
START_SECONDS = 60.0
STOP_SECONDS = 15.0
KEPT = "results"
"""What `stop` leaves in the state folder: the pictures with boxes."""
MARKER = ".dropspot-state"
"""The file that tells a state folder from anybody else's: everything beside it is removed by a start and a stop."""
_MARKED = "This folder is the state of dropspot's embedded cloud: `dropspot down` removes all in it but results/.\n"
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Servers that this process has started: they outlive the calls, and whoever ends one must also wait for it."""
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "USER", "LD_LIBRARY_PATH")


class CloudError(RuntimeError):
    """The embedded cloud could not be started or stopped; the text says why, and where to look."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running server."""

    pid: int
    started: int  # processes.start_time of the pid
    port: int
    state: str

    @property
    def endpoint_url(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Exports that let any AWS SDK or the AWS CLI talk to this cloud as its administrator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ADMINISTRATOR_KEY,
            "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCOUNT_ID": ACCOUNT,
        }


def start(root: Path, *, state: Path | None = None, images: Path | None = None) -> Cloud:
    """Start the cloud of the checkout at `root` and wait until it answers; one that runs already is returned.

    `images` is a JSON table as images.read_images reads it, used in place of the checkout's. CloudError when the server
    doesn't come up; whatever it has left by then is cleared away, also when the wait is interrupted.
    """
    root, folder = root.resolve(), _state(root, state)
    with _locked(root):
        claim(folder)
        running = status(root, state=folder)
        if running is not None:
            return running
        _clear_remains(folder)
        with bound_socket() as listener:
            process = _spawn(root, folder, listener, images)
            port = int(listener.getsockname()[1])
        try:
            cloud = Cloud(process.pid, _start_time(process.pid), port, str(folder))
            (folder / "cloud.pid").write_text(json.dumps(asdict(cloud)), encoding="utf-8")
            _wait_until_healthy(process, cloud)
        except BaseException:  # Ctrl-C, too, must leave nothing behind
            _end(process.pid, folder)
            raise
        return cloud


def stop(root: Path, *, state: Path | None = None) -> bool:
    """End the cloud, its jobs, endpoints and Lambda workers, and remove its state. False: there was nothing to end."""
    folder = _state(root, state)
    if not folder.is_dir():
        return False
    with _locked(root):
        _check_ours(folder)
        running = status(root, state=folder)
        if running is not None:
            _end(running.pid, folder)
        ended = _clear_remains(folder)
        left = _names(folder) - {MARKER}
        if left <= {KEPT}:  # the marker goes last: an interrupted stop can be repeated
            (folder / MARKER).unlink(missing_ok=True)
        if not left:
            folder.rmdir()
    return running is not None or ended > 0


def status(root: Path, *, state: Path | None = None) -> Cloud | None:
    """The running cloud of the checkout, if there is one."""
    try:
        cloud = Cloud(**json.loads((_state(root, state) / "cloud.pid").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # never started, or killed while it wrote the file
    return cloud if processes.start_time(cloud.pid) == cloud.started else None


def claim(folder: Path) -> None:
    """Make the state folder and mark it as ours; CloudError where it holds somebody else's files."""
    folder.mkdir(parents=True, exist_ok=True)
    _check_ours(folder)
    (folder / MARKER).write_text(_MARKED, encoding="utf-8")


def bound_socket(first: int = FIRST_PORT) -> socket.socket:
    """A socket bound to `first` when nothing has it, else to a port that the system chooses.

    The server inherits it, so nobody can take the port between the choice and the start.
    """
    for port in (first, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            listener.close()
            continue
        return listener
    raise CloudError(f"No port of {HOST} is free.")


def _check_ours(folder: Path) -> None:
    names = _names(folder)
    if MARKER not in names and names - {KEPT}:
        raise CloudError(
            f"{folder} holds files and is no embedded cloud's state (it has no {MARKER}): nothing in it was touched;"
            " let DROPSPOT_STATE name an empty or a new folder, or remove this one yourself."
        )


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _state(root: Path, state: Path | None) -> Path:
    return (state or root / ".dropspot").resolve()


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _spawn(root: Path, folder: Path, listener: socket.socket, images: Path | None) -> subprocess.Popen[bytes]:
    (folder / "tmp").mkdir(exist_ok=True)
    port, descriptor = int(listener.getsockname()[1]), listener.fileno()
    command = [sys.executable, "-m", "dropspot_local", "--root", str(root), "--state", str(folder)]
    command += ["--port", str(port), "--descriptor", str(descriptor)]
    if images is not None:
        command += ["--images", str(images.resolve())]
    # Handlers inherit the server's environment, so it gets nothing of the caller's but what programs need.
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with (folder / "cloud.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**environment, **server_environment(folder, port)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[descriptor],
        )
    _children[process.pid] = process
    return process


def _start_time(pid: int) -> int:
    started = processes.start_time(pid)
    if started is None:
        raise CloudError("The embedded cloud ended as soon as it was started.")
    return started


def _wait_until_healthy(process: subprocess.Popen[bytes], cloud: Cloud) -> None:
    deadline = time.monotonic() + START_SECONDS
    log = Path(cloud.state) / "cloud.log"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = " / ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:])
            raise CloudError(f"The embedded cloud ended while it started, exit code {process.returncode}: {last}")
        if _answers(cloud):
            return
        time.sleep(0.1)
    raise CloudError(f"No answer from {cloud.endpoint_url} within {START_SECONDS:.0f} s; see {log}.")


def _answers(cloud: Cloud) -> bool:
    # No proxy from the environment may come between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{cloud.endpoint_url}/_localstack/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(pid: int, folder: Path) -> None:
    processes.send(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while processes.start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    processes.send(pid, signal.SIGKILL)
    if pid in _children:
        _children.pop(pid).wait()
    processes.end_marked(folder)


def _clear_remains(folder: Path) -> int:
    """End what a killed server has left, remove all but results and marker. Returns how many processes there were."""
    ended = processes.end_marked(folder)
    for entry in folder.iterdir():
        if entry.name in {KEPT, MARKER}:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return ended
