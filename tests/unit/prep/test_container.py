"""The container's own edge: `python -m prep` in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from unit.prep.minis import ROOT, MiniDataset, picture_bytes, voc_xml

CODE = os.pathsep.join(str(ROOT / part) for part in ("prep_container", "layers/shared", "layers/imaging"))


def start(mini: MiniDataset) -> subprocess.Popen[str]:
    root = mini.paths.work.parent
    return subprocess.Popen(
        [sys.executable, "-m", "prep"],
        env={**os.environ, "DROPSPOT_ML_ROOT": str(root), "PYTHONPATH": CODE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def alive_in_session(session: int) -> list[str]:
    """The processes of a session, without those that have ended and only wait to be collected."""
    alive = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended just now
            text = status.read_text()
            state, _, _, its_session = text.rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                alive.append(text)
    return alive


def test_a_data_set_is_prepared_with_progress_on_stdout(mini: MiniDataset) -> None:
    mini.good(12).put("images/gone.psd", b"8BPS\0\1")
    plan = mini.paths.plan
    plan.parent.mkdir(parents=True)
    plan.write_text(json.dumps({"schema": "dropspot/plan/1", "classes": ["cat"]}))
    job = start(mini)
    out, err = job.communicate(timeout=60)
    assert (job.returncode, err) == (0, "")
    assert "prepared 12/12 images, " in out
    assert out.count("warning: unsupported_image, left out once: ") == 1
    assert json.loads((mini.paths.prepared / "classes.json").read_text()) == {"classes": ["cat"]}
    assert mini.paths.message is not None
    assert not mini.paths.message.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"images/a.tar.gz": b"no archive"}, "archive images/a.tar.gz cannot be read"),
        ({"only.jpg": picture_bytes(1)}, "no usable annotation"),
        ({}, "the data set is empty"),
    ],
)
def test_a_failure_is_one_sentence_on_stderr_and_in_the_message_file(content, sentence, mini: MiniDataset) -> None:
    for path, data in content.items():
        mini.put(path, data)
    job = start(mini)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 1
    assert sentence in err
    assert err.count("\n") == 1
    assert mini.paths.message.read_text() == err.strip()


def test_the_message_stays_within_a_kilobyte_of_utf8(mini: MiniDataset) -> None:
    mini.good(9)
    plan = mini.paths.plan
    plan.parent.mkdir(parents=True)
    plan.write_text(json.dumps({"classes": ["ж" * 3000]}))
    job = start(mini)
    job.communicate(timeout=60)
    message = mini.paths.message.read_bytes()
    assert job.returncode == 1
    assert 900 < len(message) <= 1024
    assert message.decode("utf-8").startswith("the plan asks for the class")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_job_its_workers_and_its_scratch_folder(
    mini: MiniDataset, signum: signal.Signals, code: int
) -> None:
    large = [picture_bytes(i, (900, 900), "PNG") for i in range(10)]
    for i in range(300):
        mini.put(f"images/{i}.png", large[i % 10] + bytes([i % 256]))
        mini.put(f"labels/{i}.xml", voc_xml([("cat", 5, 5, 40, 30)], f"{i}.png"))
    job = start(mini)
    deadline = time.monotonic() + 30
    while not list(mini.paths.work.glob("prep-*/pictures/*.jpg")):
        assert time.monotonic() < deadline, "no picture was decoded"
        time.sleep(0.02)
    job.send_signal(signum)
    began = time.monotonic()
    _, err = job.communicate(timeout=20)
    assert time.monotonic() - began < 10
    assert job.returncode == code
    assert err == "preparation was stopped before it was finished\n"
    assert [path.name for path in mini.paths.work.glob("prep-*")] == []
    while left := alive_in_session(job.pid):  # multiprocessing's resource tracker ends a moment after the job
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def test_an_unforeseen_failure_still_leaves_its_sentence(mini: MiniDataset) -> None:
    mini.good(9)
    mini.paths.prepared.parent.mkdir(parents=True)
    mini.paths.prepared.write_text("a file where a folder belongs")
    job = start(mini)
    job.communicate(timeout=60)
    assert job.returncode == 1
    assert "could not read or write its files" in mini.paths.message.read_text()
