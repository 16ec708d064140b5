"""A container's code as a supervised process: a process group of its own, its output read line by line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from dropspot_local.processes import MARK

NICENESS = 5
"""Jobs give way to the server and the Lambda workers, which somebody waits for."""


def container_environment(root: Path, *given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a container's process.

    `given` are the image's, what the request sets and what SageMaker sets; later ones win. Nothing of the server's own
    environment gets in but the path to programs and the mark of its cloud: no credentials above all.
    """
    temporary = root / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    base = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(root), "TMPDIR": str(temporary)}
    local = {
        "DROPSPOT_ML_ROOT": str(root),
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        MARK: os.environ.get(MARK, ""),
    }
    return dict(ChainMap(local, *map(dict, reversed(given)), base))


class ContainerProcess:
    """One running command. `on_line` gets every line of its output, standard error included, in order."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, on_line: Callable[[str], None]
    ) -> None:
        self._on_line = on_line
        self._process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.setpriority(os.PRIO_PGRP, self._process.pid, NICENESS)
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As a shell reports it, 128 + n after signal n; None while it runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def wait(self, seconds: float, *stops: threading.Event) -> bool:
        """Wait until it ended, `seconds` passed or one of `stops` was set. True: it has ended."""
        deadline = time.monotonic() + seconds
        while self.exit_code is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or any(stop.is_set() for stop in stops):
                return False
            try:
                self._process.wait(timeout=min(0.1, remaining))
            except subprocess.TimeoutExpired:
                continue
        return True

    def end(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL to the whole group once the process is gone or the grace is over."""
        if self.exit_code is None:
            self._signal_group(signal.SIGTERM)
            try:
                self._process.wait(timeout=grace_seconds)
            except subprocess.TimeoutExpired:
                self._on_line(f"The container didn't end within {grace_seconds:g} s after SIGTERM and was killed.")
        self._signal_group(signal.SIGKILL)  # also what it started and left running
        self._process.wait()
        self._reader.join(timeout=5)

    def _signal_group(self, signum: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(self._process.pid, signum)

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                # A progress bar rewrites its line with carriage returns: keep its last state.
                self._on_line(line.decode("utf-8", errors="replace").rstrip("\r\n").rpartition("\r")[2])
