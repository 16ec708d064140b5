"""Starting and stopping: once, twice, after a kill, while something runs, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from dropspot_local import cloud, hooks, processes
from dropspot_local.settings import server_environment

SLEEPER = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('asleep', flush=True); time.sleep(60)"
)
IMAGE = "sleeper:1"


@pytest.fixture
def root(tmp_path: Path):
    images = {IMAGE: {"commands": {"process": [sys.executable, "-c", SLEEPER]}}}
    (tmp_path / "images.json").write_text(json.dumps(images))
    yield tmp_path
    cloud.stop(tmp_path)


def start(root: Path) -> cloud.Cloud:
    return cloud.start(root, images=root / "images.json")


def client(running: cloud.Cloud, service: str):
    return boto3.client(
        service,
        endpoint_url=running.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def run_a_job(running: cloud.Cloud) -> None:
    """A processing job whose container doesn't listen to SIGTERM."""
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = client(running, "iam").create_role(
        RoleName="jobs", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    client(running, "sagemaker").create_processing_job(
        ProcessingJobName="sleeper",
        RoleArn=role,
        AppSpecification={"ImageUri": IMAGE},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    )
    until(lambda: len(processes.marked(Path(running.state))) == 2)


def until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listeners(pids: list[int]) -> set[str]:
    """Local addresses, in /proc's hexadecimal, on which these processes listen."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].rpartition(":")[0])
    return found


def test_it_answers_on_loopback_alone_and_goes_without_a_trace(root):
    running = start(root)
    with urllib.request.urlopen(f"{running.endpoint_url}/_localstack/health") as response:
        assert response.status == 200
    assert cloud.status(root) == running
    assert listeners([running.pid]) == {"0100007F"}  # 127.0.0.1
    assert cloud.stop(root) is True
    assert cloud.status(root) is None
    assert processes.marked(root / ".dropspot") == []
    assert sorted(entry.name for entry in root.iterdir()) == ["images.json"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0


def test_started_twice_it_is_the_same_one_and_stopped_twice_is_no_error(root):
    assert start(root) == start(root)
    assert cloud.stop(root) is True
    assert cloud.stop(root) is False


def test_stopping_ends_a_job_that_does_not_listen_and_keeps_the_results(root):
    running = start(root)
    results = root / ".dropspot" / "results"
    results.mkdir()
    (results / "picture.png").write_bytes(b"png")
    run_a_job(running)
    began = time.monotonic()
    cloud.stop(root)
    assert time.monotonic() - began < 15
    assert processes.marked(root / ".dropspot") == []
    assert [entry.name for entry in (root / ".dropspot").iterdir()] == ["results"]


def test_what_a_killed_server_leaves_is_ended_by_the_next_start(root):
    killed = start(root)
    run_a_job(killed)
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: cloud.status(root) is None)
    orphans = processes.marked(root / ".dropspot")
    assert len(orphans) == 1
    running = start(root)
    assert processes.marked(root / ".dropspot") == [running.pid]


def test_what_a_killed_server_leaves_is_ended_by_a_stop(root):
    killed = start(root)
    run_a_job(killed)
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: cloud.status(root) is None)
    assert cloud.stop(root) is True
    assert processes.marked(root / ".dropspot") == []


def test_a_pid_that_another_process_has_got_is_not_taken_for_the_server(root):
    state = root / ".dropspot"
    cloud.claim(state)
    record = {"pid": os.getpid(), "started": 1, "port": 4566, "state": str(state)}
    (state / "cloud.pid").write_text(json.dumps(record))
    assert cloud.status(root) is None
    cloud.stop(root)  # and we are still here


def test_a_folder_with_other_files_is_refused_and_not_touched(root):
    other = root / "other"
    (other / "results").mkdir(parents=True)
    (other / "letter.txt").write_text("dear")
    for verb in (cloud.start, cloud.stop):
        with pytest.raises(cloud.CloudError, match="nothing in it was touched"):
            verb(root, state=other)
    assert sorted(entry.name for entry in other.iterdir()) == ["letter.txt", "results"]
    (other / "letter.txt").unlink()
    assert cloud.stop(root, state=other) is False  # results alone are no stranger's
    assert [entry.name for entry in other.iterdir()] == ["results"]


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(root):
    (root / "images.json").write_text('{"image": {"commands": {"fly": []}}}')
    with pytest.raises(cloud.CloudError, match="unknown command"):
        start(root)
    assert processes.marked(root / ".dropspot") == []


def test_a_start_that_is_interrupted_leaves_nothing(root):
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            # Where tests run in the background, SIGINT is ignored, and so it would be here.
            f"""
import signal
from pathlib import Path
from dropspot_local import cloud
signal.signal(signal.SIGINT, signal.default_int_handler)
cloud.start(Path({str(root)!r}))
""",
        ],
        stderr=subprocess.PIPE,
    )
    until(lambda: processes.marked(root / ".dropspot") != [])
    starter.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in starter.communicate(timeout=20)[1]
    assert processes.marked(root / ".dropspot") == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_foreground_server_clears_up_after_a_signal(root, signum):
    state = root / ".dropspot"
    with cloud.bound_socket() as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dropspot_local", "--root", str(root), "--port", str(port), "--state", str(state)]
    server = subprocess.Popen(
        [*command, "--images", str(root / "images.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = cloud.Cloud(server.pid, 0, port, str(state))
    until(lambda: answers(port))
    run_a_job(running)
    server.send_signal(signum)
    assert server.wait(timeout=20) == 0
    assert processes.marked(state) == []


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_two_checkouts_have_a_cloud_each(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    try:
        first, second = start(root), cloud.start(other)
        assert first.port != second.port
        assert cloud.status(root) == first
        assert cloud.status(other) == second
    finally:
        cloud.stop(other)
    assert cloud.status(root) == first


def test_the_server_sees_nothing_of_the_callers_environment(root, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    running = start(root)
    environment = Path(f"/proc/{running.pid}/environ").read_bytes().split(b"\0")
    assert not [entry for entry in environment if entry.startswith((b"AWS_PROFILE", b"PYTHONPATH"))]
    assert f"TMPDIR={root}/.dropspot/tmp".encode() in environment


def test_a_missing_name_of_ministack_is_reported(monkeypatch):
    monkeypatch.setitem(hooks.NEEDED, "ministack.app", ("SERVICE_HANDLERS", "gone_in_the_next_release"))
    with pytest.raises(hooks.HookError, match=r"lacks .*ministack\.app\.gone_in_the_next_release"):
        hooks.self_test()


def test_another_version_of_ministack_is_refused(monkeypatch):
    monkeypatch.setattr(hooks, "version", lambda _: "1.6.0")
    with pytest.raises(hooks.HookError, match=r"needs ministack 1\.5\.33, but 1\.6\.0"):
        hooks.self_test()


def test_everything_that_listens_is_told_to_use_loopback(tmp_path):
    environment = server_environment(tmp_path, 4566)
    assert environment["BIND_HOST"] == "127.0.0.1"
    assert (environment["IOT_MTLS_ENABLED"], environment["SFTP_ENABLED"]) == ("0", "0")
    assert environment["AUTH"] == "true"
