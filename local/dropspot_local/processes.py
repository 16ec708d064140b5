"""Processes of one embedded cloud: known by a mark in their environment, so that none can be left behind.

Every process that the server starts inherits `DROPSPOT_CLOUD_STATE=<state folder>`. The mark survives a server that was
killed, and processes that moved to a session of their own. It is read from /proc, so this needs Linux.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

MARK = "DROPSPOT_CLOUD_STATE"


def mark(state: Path) -> dict[str, str]:
    """The environment variable that marks a process as belonging to the cloud with this state folder."""
    return {MARK: str(state.resolve())}


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: with its pid a name for good. None: it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command's name, in brackets, may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


def marked(state: Path, *, but: Iterable[int] = ()) -> list[int]:
    """Pids of the living processes that carry this state folder's mark."""
    wanted = f"{MARK}={state.resolve()}".encode()
    skip = set(but)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in skip:
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or belongs to somebody else
        if wanted in environment.split(b"\0") and start_time(int(entry.name)) is not None:
            found.append(int(entry.name))
    return found


def send(pid: int, signum: signal.Signals) -> None:
    """Signal one process; one that has ended meanwhile is fine."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


def end_marked(state: Path, *, but: Iterable[int] = (), grace_seconds: float = 3.0) -> int:
    """End every process that carries the mark, politely first. Returns how many there were."""
    skip = set(but)
    ended: set[int] = set()
    deadline = time.monotonic() + grace_seconds
    while pids := marked(state, but=skip):
        for pid in pids:
            if time.monotonic() >= deadline:
                send(pid, signal.SIGKILL)
            elif pid not in ended:
                send(pid, signal.SIGTERM)
        ended.update(pids)
        time.sleep(0.05)
    return len(ended)
