import multiprocessing
import os
import subprocess
import sys
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from dropspot.errors import TransientError
from prep import processes
from prep.processes import started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are spawned")

LEADER = """
import sys, time
from pathlib import Path
from prep.processes import get_ready
get_ready("told")
told = Path(sys.argv[1])
deadline = time.monotonic() + 60
while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
    time.sleep(0.01)
assert "told" not in sys.modules
"""

DECODING = """
from operator import attrgetter
from pathlib import Path
from prep.decoding import DecodeTask
from prep.pool import Crew

def decoded():
    given = [DecodeTask(number, Path("unused"), 100, Path("unused")) for number in range(20)]
    with Crew(2, decode_one=attrgetter("number")) as crew:
        assert sorted(found for _, found in crew.decode_all(given)) == list(range(20))
"""

LOSING_THE_SERVER = """
import os, signal, time
from prep.processes import get_ready

def kill_server():
    server = None
    while not server:  # it may not yet be what it becomes
        pids = [int(pid) for pid in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]
        server = next((pid for pid in pids if b"forkserver" in Path("/proc", str(pid), "cmdline").read_bytes()), None)
    os.kill(server, signal.SIGKILL)
    while Path("/proc", str(server), "stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)

get_ready()
kill_server()  # as it loads
decoded()
kill_server()  # while it has nothing to do
decoded()
"""


def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([*environment.pop("paths", "").split(), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        check=True,
        capture_output=True,
        text=True,
    )


def test_what_workers_need_is_loaded_before_there_are_any(tmp_path: Path) -> None:
    told = tmp_path / "told.txt"
    (tmp_path / "told.py").write_text(f"import os, pathlib\npathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n")
    run(LEADER, told, paths=str(tmp_path))
    deadline = time.monotonic() + 30
    while Path("/proc", told.read_text()).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path("/proc", told.read_text()).exists()  # it ends with the process that it was for


def test_a_folder_for_temporary_files_of_any_length_will_do(tmp_path: Path) -> None:
    for length in (60, 200):
        folder = tmp_path / ("t" * length)
        folder.mkdir()
        run(f"{DECODING}\ndecoded()", TMPDIR=str(folder))
        assert list(folder.iterdir()) == []


def test_the_process_that_workers_are_forked_from_may_die() -> None:
    run(DECODING + LOSING_THE_SERVER)


def test_a_machine_that_starts_no_process_is_named_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    context, attempts = multiprocessing.get_context("forkserver"), []

    class Refused(ForkServerContext.Process):
        def start(self) -> None:
            attempts.append(self)
            raise EOFError("unexpected EOF")

    monkeypatch.setattr(context, "Process", Refused)
    monkeypatch.setattr(processes, "_context", lambda: context)
    with pytest.raises(TransientError, match="short of memory or processes: unexpected EOF"):
        started(print)
    assert len(attempts) == 5
