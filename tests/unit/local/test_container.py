"""A supervised process: its lines, its end, and what it is given to see."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from dropspot_local import processes
from dropspot_local.sagemaker.container import ContainerProcess, container_environment


def run(tmp_path: Path, code: str, lines: list[str]) -> ContainerProcess:
    return ContainerProcess([sys.executable, "-u", "-c", code], {"PATH": os.environ["PATH"]}, tmp_path, lines.append)


def test_every_line_arrives_in_order_and_progress_bars_leave_their_last_state(tmp_path):
    lines: list[str] = []
    code = r"import sys; print('one'); print('error', file=sys.stderr); print('10%\r50%\r100%')"
    process = run(tmp_path, code, lines)
    assert process.wait(10, threading.Event())
    process.end(1)
    assert lines == ["one", "error", "100%"]
    assert process.exit_code == 0


def test_an_end_by_signal_is_told_as_a_shell_tells_it(tmp_path):
    process = run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", [])
    assert process.wait(10, threading.Event())
    process.end(1)
    assert process.exit_code == 137


def test_a_process_that_does_not_listen_is_killed_with_all_that_it_started(tmp_path):
    lines: list[str] = []
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\n"
        "time.sleep(60)\n"
    )
    process = run(tmp_path, code, lines)
    while not lines:
        time.sleep(0.02)
    process.end(0.2)
    assert process.exit_code == 137
    assert "didn't end within 0.2 s" in lines[-1]
    deadline = time.monotonic() + 5
    while processes.start_time(int(lines[0])) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_waiting_ends_when_it_is_told_to(tmp_path):
    process, stop = run(tmp_path, "import time; time.sleep(60)", []), threading.Event()
    try:
        assert not process.wait(0.1, stop)
        stop.set()
        assert not process.wait(60, stop)
    finally:
        process.end(1)


def test_a_container_sees_its_own_variables_and_no_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = container_environment(
        tmp_path, {"PYTHONPATH": "/image", "A": "image"}, {"A": "request", "B": "request"}, {"B": "service"}
    )
    assert (environment["A"], environment["B"], environment["PYTHONPATH"]) == ("request", "service", "/image")
    assert environment["DROPSPOT_ML_ROOT"] == str(tmp_path)
    assert Path(environment["TMPDIR"]).is_dir()
    assert "AWS_SECRET_ACCESS_KEY" not in environment


@pytest.mark.parametrize("pid", [2**22 + 1, 10**9])
def test_a_process_that_never_was_has_no_start_time(pid):
    assert processes.start_time(pid) is None
