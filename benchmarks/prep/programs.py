"""Runs of the compared programs, each confined to as many cores as it has processes, and what they took."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aside import set_aside
from datasets import Benchmarked

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ORACLE = ROOT / ".envs" / "oracle" / "bin" / "python"  # the newest OpenCV that goes with MXNet
ORACLE_2022 = ROOT / ".envs" / "oracle-2022" / "bin" / "python"  # the OpenCV that was current when MXNet came out
PREP = ROOT / ".envs" / "prep" / "bin" / "python"
PREP_PATH = os.pathsep.join(str(ROOT / part) for part in ("prep_container", "layers/shared", "layers/imaging"))
MARKS = struct.Struct("<dd")
POLL_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl


class FailedError(Exception):
    """A program did not end well; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds before the first picture was done, from there to the last, and after that.

    `cpu` is the processor time of all its processes, in seconds.
    """

    pictures: int
    start_up: float
    working: float
    finishing: float
    cpu: float
    peaks: dict[int, int] = field(default_factory=dict)  # peak memory in KiB by process, the program's own first

    @property
    def rate(self) -> float:
        """Pictures per second from the first to the last."""
        return (self.pictures - 1) / self.working

    @property
    def whole_rate(self) -> float:
        """Pictures per second of the whole process, start-up and report included."""
        return self.pictures / (self.start_up + self.working + self.finishing)


def im2rec(data: Benchmarked, processes: int, *options: str, python: Path = ORACLE) -> Run:
    """Pack with the im2rec of the MXNet wheel; the result is `<prefix>.rec`."""
    arguments = ["--pack-label", "--num-thread", str(processes), *options, str(data.prefix), str(data.images)]
    return _run(data, processes, python, "timed_im2rec.py", arguments)


def prep(data: Benchmarked, processes: int, *, watched: bool = False, **plan: object) -> Run:
    """Prepare, into a fresh folder; `watched` also takes the peak memory of each process."""
    set_aside(data.root / "processing" / "output", data.root.parents[1])
    data.plan({"classes": None, **plan})
    return _run(data, processes, PREP, "timed_prep.py", [str(data.root)], watched=watched)


def decode_loop(data: Benchmarked, processes: int, colours: str = "RGB") -> Run:
    """Decode, and nothing else."""
    return _run(data, processes, PREP, "decode_loop.py", [str(data.images), str(processes), colours])


def _run(
    data: Benchmarked, processes: int, python: Path, script: str, arguments: Sequence[str], *, watched: bool = False
) -> Run:
    marks, cores = data.root.parent / "marks", sorted(os.sched_getaffinity(0))[:processes]
    command = [str(python), str(HERE / script), str(marks), *arguments]
    started, cpu_before = time.monotonic(), _cpu()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # what is started now, and all that it starts, stays there
    try:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": PREP_PATH},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        os.sched_setaffinity(0, allowed)
    with process:
        watcher = _Watcher(process.pid) if watched else None
        said, _ = process.communicate()
    ended = time.monotonic()
    _await_orphans()
    if process.returncode:
        raise FailedError(f"{script} ended with {process.returncode}:\n{said}")
    first, last = MARKS.unpack(marks.read_bytes())
    peaks = watcher.stop() if watcher else {}
    return Run(data.count, first - started, last - first, ended - last, _cpu() - cpu_before, peaks)


def adopt_orphans() -> None:
    """Let processes that outlive their parent become this one's, as what prep's workers are forked from does."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _await_orphans() -> None:
    """Await every child that is left, so that its processor time is counted, and takes none from the next run."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _cpu() -> float:
    """Processor seconds, the system's on their behalf included, of all processes that this one has awaited."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watcher:
    """Reads, every so often, the most memory that a process and its descendants have ever held (VmHWM)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> dict[int, int]:
        self._over.set()
        self._thread.join()
        return self._peaks

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            for pid in _family(self._pid):
                if peak := _peak_kib(pid):
                    self._peaks[pid] = peak


def _family(pid: int) -> list[int]:
    """A process and its descendants, itself first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended
        children.setdefault(int(parent), []).append(int(folder.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _peak_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # it has ended
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
