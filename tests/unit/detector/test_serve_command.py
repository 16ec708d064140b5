"""The real `serve` command: its life as a process, and clients that misbehave."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from unit.detector.live_server import JPEG, SERVE_PYTHON, LiveServer, answered, received
from unit.detector.slow_pictures import large_picture, picture, run_length_bomb, scan_bomb

pytestmark = pytest.mark.serving

HEAD = "POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: image/jpeg\r\n"
# The real command with a part replaced beforehand; the worker is forked and inherits it
REPLACING = "import sys; {}; from detector.serve import main; sys.exit(main())"


def test_it_answers_both_forms(server: LiveServer) -> None:
    rows = server.post(picture()).json()["prediction"]
    assert 0 < len(rows) <= 400
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    pixels = server.post(picture(), accept="application/json;annotation=1").json()
    assert pixels["image_size"] == [{"width": 64, "height": 48, "depth": 3}]
    assert len(pixels["annotations"]) == len(rows)


def test_no_answer_waits_for_an_acknowledgement(server: LiveServer) -> None:
    """Where it does (Nagle's algorithm against delayed acknowledgements), every answer takes 40 ms more."""
    with httpx.Client(base_url=server.address) as client:
        posted = [client.post("/invocations", content=picture(), headers=JPEG) for _ in range(30)]
    assert min(response.elapsed.total_seconds() for response in posted) < 0.03


def test_the_worker_is_replaced_when_it_crashes(model_root: Path) -> None:
    with LiveServer(model_root) as server:
        expected = server.post(picture()).json()
        for signum in (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV):
            (worker,) = server.workers()
            os.kill(worker, signum)
            server.wait_until_healthy()
            assert server.workers() != [worker]
            assert server.post(picture()).json() == expected


def test_a_picture_that_occupies_the_decoder_does_not_take_the_server_down(model_root: Path) -> None:
    slow = (
        "import time; from detector.served_model import ServedModel as m; look = m.detect; "
        "m.detect = lambda self, data: time.sleep(60) if len(data) > 100_000 else look(self, data)"
    )
    with LiveServer(model_root, ("-c", REPLACING.format(slow)), SAGEMAKER_MODEL_SERVER_TIMEOUT="1") as server:
        (worker,) = server.workers()
        with pytest.raises(httpx.RemoteProtocolError):  # nobody can be answered by an ended process
            server.post(large_picture())
        server.wait_until_healthy()
        assert server.workers() != [worker]
        assert server.post(picture()).status_code == 200


def test_told_to_stop_while_a_picture_occupies_the_decoder_it_ends_in_order(model_root: Path) -> None:
    slow = (
        "import time; from detector import http_server, served_model; http_server._DRAIN_SECONDS = 2; "
        "look = served_model.ServedModel.detect; "
        "served_model.ServedModel.detect = lambda m, data: time.sleep(60) if len(data) > 100_000 else look(m, data)"
    )
    with LiveServer(model_root, ("-c", REPLACING.format(slow)), SAGEMAKER_MODEL_SERVER_TIMEOUT="1") as server:
        with server.connect() as waiting:
            body = large_picture()
            waiting.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.2)
            code, log = server.stop()
        assert code == 0, log
        assert "takes longer" not in log


def test_pictures_that_would_occupy_the_decoder_are_refused(server: LiveServer) -> None:
    for body, told in ((scan_bomb(), "scans"), (run_length_bomb(), "run-length")):
        answer = server.post(body)
        assert answer.status_code == 413
        assert told in answer.json()["error"]


def test_workers_that_never_get_ready_are_given_up(model_root: Path) -> None:
    crash = "from detector.served_model import ServedModel; import os; ServedModel.prove = lambda self: os.abort()"
    server = LiveServer(model_root, ("-c", REPLACING.format(crash)))
    code, log = server.ended()
    assert code == 1
    assert "3 workers were ended by signals (SIGABRT) before they could serve" in log


def test_told_to_stop_it_answers_what_is_under_way_and_takes_nothing_new(model_root: Path) -> None:
    with LiveServer(model_root) as server, server.connect() as begun, server.connect() as idle:
        body = picture()
        begun.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body[:100])
        idle.sendall(b"GET /ping HTTP/1.1\r\nhost: here\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(65536) == b""  # kept alive until now
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.address}/ping")
        begun.sendall(body[100:])
        assert received(begun).startswith(b"HTTP/1.1 200")
        assert server.ended()[0] == 0
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_while_it_loads_it_ends_at_once(signum: int, model_root: Path) -> None:
    slow = "from detector import served_model as m; import time; m.ServedModel.prove = lambda self: time.sleep(60)"
    server = LiveServer(model_root, ("-c", REPLACING.format(slow)))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            response = httpx.get(f"{server.address}/ping", timeout=5)
            break
        except httpx.TransportError:
            time.sleep(0.02)
    assert response.status_code == 503
    began = time.monotonic()
    server.process.send_signal(signum)
    assert server.ended()[0] == 0
    assert time.monotonic() - began < 5


def test_a_worker_whose_supervisor_is_killed_ends_too(model_root: Path) -> None:
    server = LiveServer(model_root)
    server.wait_until_healthy()
    (worker,) = server.workers()
    server.process.kill()
    server.ended()  # and with the worker the last one is gone who holds the log open
    assert not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().split(")")[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_as_anybody_with_a_model_it_may_only_read(model_root: Path) -> None:
    # what it imports is read before: an interpreter below /root is nobody else's
    become = (
        "import detector.worker, detector.served_model, os; from PIL import Image; Image.preinit(); "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        root = Path(folder) / "ml"
        shutil.copytree(model_root / "model", root / "model")
        for path in (root / "model").iterdir():
            path.chmod(0o444)
        for path in (root / "model", root, Path(folder)):
            path.chmod(0o555)
        with LiveServer(root, ("-c", REPLACING.format(become)), HOME="/nonexistent") as server:
            owners = Path(f"/proc/{server.workers()[0]}/status").read_text()
            assert "Uid:\t65534\t65534\t65534\t65534" in owners
            assert server.post(picture()).status_code == 200


def test_it_asks_nothing_of_the_network(model_root: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    watch = (
        f"seen = open({str(seen)!r}, 'a', buffering=1); "
        "names = ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'); "
        "sys.addaudithook(lambda name, args: name in names and seen.write(f'{name} {args}\\n'))"
    )
    with LiveServer(model_root, ("-c", REPLACING.format(watch))) as server:
        assert server.post(picture()).status_code == 200
    assert seen.read_text() == ""


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "SAGEMAKER_BIND_TO_PORT is 'http', not a whole number from 1 to 65535"),
        ("DROPSPOT_MAX_BODY_BYTES", "0", "DROPSPOT_MAX_BODY_BYTES is '0', not a whole number"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "", "SAGEMAKER_MODEL_SERVER_TIMEOUT is '', not a whole number"),
        ("DROPSPOT_BIND_HOST", "192.0.2.1", "cannot listen on 192.0.2.1:"),
        ("DROPSPOT_ML_ROOT", "/nonexistent", "the model in /nonexistent/model cannot be served (detector.json): "),
    ],
)
def test_what_cannot_be_served_ends_with_a_sentence(variable: str, value: str, told: str, model_root: Path) -> None:
    code, log = LiveServer(model_root, **{variable: value}).ended()
    assert code == 1
    assert told in log
    assert "Traceback" not in log


@pytest.mark.parametrize(("spoil", "told"), [("nan", "not all finite"), ("anchors", "have shape")])
def test_a_model_that_answers_nonsense_is_not_served(spoil: str, told: str, model_root: Path) -> None:
    change = {
        "nan": "raw = m.raw; m.raw = lambda self, x: [part * float('nan') for part in raw(self, x)]",
        "anchors": "raw = m.raw; m.raw = lambda self, x: [part[:, 1:] for part in raw(self, x)]",
    }[spoil]
    replaced = REPLACING.format(f"from detector.served_model import ServedModel as m; {change}")
    code, log = LiveServer(model_root, ("-c", replaced)).ended()
    assert code == 1
    assert told in log


def test_more_than_is_read_is_refused_before_it_has_come(model_root: Path) -> None:
    with LiveServer(model_root, DROPSPOT_MAX_BODY_BYTES="5000") as server:
        with server.connect() as liar:  # announces more than it sends
            liar.sendall(f"{HEAD}content-length: 99999999999\r\n\r\nabc".encode())
            assert_refused(answered(liar), 413, "larger than 5,000 bytes")
        with server.connect() as chunked:
            chunked.sendall(f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode())
            for _ in range(6):
                chunked.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            assert_refused(answered(chunked), 413, "larger than 5,000 bytes")
        with server.connect() as waiting:  # curl asks before it sends much
            waiting.sendall(f"{HEAD}content-length: 9000\r\nexpect: 100-continue\r\n\r\n".encode())
            assert_refused(answered(waiting), 413, "larger than 5,000 bytes")
        with server.connect() as brief:  # announces more and goes away
            brief.sendall(f"{HEAD}content-length: 4000\r\n\r\nabc".encode())
        with server.connect() as same:  # sends more than it announced: the rest is no request
            body = picture()
            same.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body + b"\0\1\2\r\n\r\n")
            first, _, second = received(same).partition(b"\r\n\r\n")[2].partition(b"HTTP/1.1")
            assert "prediction" in json.loads(first)
            assert second.startswith(b" 400")
        assert server.post(picture()).status_code == 200


def assert_refused(answer: bytes, status: int, told: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/json" in head
    assert told in json.loads(body)["error"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0\1\2\3\r\n\r\n",
        HEAD.encode() + b"content-length: minus one\r\n\r\n",
        HEAD.encode() + b"content-length: -1\r\n\r\n",
        HEAD.encode() + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        HEAD.encode() + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        HEAD.encode() + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"CONNECT elsewhere:80 HTTP/1.1\r\nhost: here\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_in_the_same_form(request_bytes: bytes, server: LiveServer) -> None:
    with server.connect() as client:
        client.sendall(request_bytes)
        assert_refused(received(client), 400, "Invalid HTTP request")
    assert httpx.get(f"{server.address}/ping").status_code == 200


@pytest.mark.parametrize("beginning", [b"GET /", b"GET / HTTP/1.1\r\nhost: ", b"GET / HTTP/1.1\r\n"])
def test_a_head_without_end_is_refused(beginning: bytes, server: LiveServer) -> None:
    line = b"x" * 50_000 if not beginning.endswith(b"\n") else b"name: value\r\n" * 4_000
    with server.connect() as client:
        client.sendall(beginning)
        for _ in range(40):
            client.sendall(line)
            if select.select([client], [], [], 0.05)[0]:
                break
        assert_refused(received(client), 400, "head is too large")
    assert httpx.get(f"{server.address}/ping").status_code == 200


def test_clients_that_dawdle_are_let_go(model_root: Path) -> None:
    hasty = (
        "from detector.connection import Connection; Connection.seconds = 0.3; "
        "from detector.service import DetectionService as d; d.__init__.__defaults__ = (0.3, '')"
    )
    with LiveServer(model_root, ("-c", REPLACING.format(hasty))) as server:
        for beginning in (b"", b"POST /invoc", HEAD.encode()):
            with server.connect() as slow:
                slow.sendall(beginning)
                assert received(slow) == b""
        with server.connect() as refused:  # whose body nobody wants
            refused.sendall(HEAD.replace("jpeg", "gif").encode() + b"content-length: 100000\r\n\r\nabc")
            assert_refused(received(refused), 415, "not supported")
        with server.connect() as kept:  # alive, but its second request never gets complete
            kept.sendall(b"GET /ping HTTP/1.1\r\nhost: here\r\n\r\nGET /pi")
            assert received(kept).startswith(b"HTTP/1.1 200")
        with server.connect() as body:
            body.sendall(f"{HEAD}content-length: 4000\r\n\r\nabc".encode())
            assert_refused(answered(body), 503, "did not arrive within 0.3 s")


def test_many_clients_at_once_are_answered_or_told_to_come_again(server: LiveServer) -> None:
    statuses: list[int] = []

    def client() -> None:
        with httpx.Client(base_url=server.address, timeout=30) as connected:
            for _ in range(10):
                statuses.append(connected.post("/invocations", content=picture(), headers=JPEG).status_code)

    threads = [threading.Thread(target=client) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 400
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 40


def test_large_pictures_leave_no_memory_behind(model_root: Path) -> None:
    with LiveServer(model_root) as server:
        with ThreadPoolExecutor(2) as clients:
            posted = list(clients.map(server.post, [large_picture()] * 4))
        assert {response.status_code for response in posted} == {200}
        status = Path(f"/proc/{server.workers()[0]}/status").read_text()
        most, now = (int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) >> 10 for name in ("VmHWM", "VmRSS"))
        assert most > 300  # MiB
        assert now < 250


def test_the_supervisor_is_small(server: LiveServer) -> None:
    heavy = "import sys, detector.serve; print([m for m in ('numpy', 'PIL', 'httptools', 'json') if m in sys.modules])"
    done = subprocess.run(
        [SERVE_PYTHON, "-c", heavy],
        env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(("detector_container", "layers/shared"))},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
