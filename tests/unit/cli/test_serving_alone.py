"""`dropspot serve`: the model's forms, the port, what it says and how it ends."""

import json
import os
import signal
import socket
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from alone_doubles import model_folder, stand_in, stand_in_server, write
from rich.console import Console

from dropspot.errors import InvalidInputError, NotFoundError
from dropspot_cli import model_folders
from dropspot_cli.project import Project
from dropspot_cli.serving_alone import instructions, serve


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "run" / "model")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def told(screen: Console) -> str:
    return screen.file.getvalue()  # type: ignore[attr-defined]


def archive(model: Path, target: Path, *, dot: bool) -> Path:
    with tarfile.open(target, "w:gz") as opened:
        opened.add(model / "detector.json", "./detector.json" if dot else "detector.json")
    return target


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_answers_until_it_is_told_to_end(
    signum: signal.Signals, model: Path, port: int, tmp_path: Path, screen: Console
) -> None:
    project = stand_in_server(tmp_path / "checkout", {"picture": (200, {"prediction": []})})
    answers = []

    def client() -> None:
        deadline = time.monotonic() + 30
        while "curl" not in told(screen) and time.monotonic() < deadline:
            time.sleep(0.01)
        address = f"http://127.0.0.1:{port}/invocations"
        request = urllib.request.Request(address, b"picture", {"content-type": "application/x-image"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            answers.append(json.load(response))
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=client)
    thread.start()
    before = signal.getsignal(signum)
    assert serve(project, model, port, screen, screen) == 0
    thread.join()
    assert answers == [{"prediction": []}]
    assert signal.getsignal(signum) is before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_that_is_taken_is_named(model: Path, port: int, tmp_path: Path, screen: Console) -> None:
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(InvalidInputError, match=f"^can't listen on 127.0.0.1:{port}: Address already in use$"),
    ):
        serve(stand_in_server(tmp_path / "checkout", {}), model, port, screen, screen)


def test_a_server_that_ends_by_itself_is_a_failure(model: Path, port: int, tmp_path: Path, screen: Console) -> None:
    project = stand_in_server(tmp_path / "checkout", {})
    server = project.root / "server.py"
    answering = "self.answer(200 if"
    dying = "import threading\ndef die():\n    print('[x ERROR 1] gone', flush=True)\n    os._exit(3)\nclass Handler"
    script = server.read_text().replace("class Handler", dying)
    server.write_text(script.replace(answering, f"threading.Timer(0.5, die).start(); {answering}"))
    assert serve(project, model, port, screen, screen) == 3
    assert told(screen).endswith("[x ERROR 1] gone\ndropspot: gone\n")


def test_a_model_is_found_in_each_of_its_forms(model: Path, tmp_path: Path) -> None:
    forms = [
        model,
        model.parent,
        archive(model, tmp_path / "a.tar.gz", dot=True),
        archive(model, tmp_path / "b", dot=False),
    ]
    for form in forms:
        with model_folders.serving_root(form) as root:
            assert model_folders.description(root, form).num_classes == 2
        assert not root.exists()
    assert [model_folders.beside(form) for form in forms] == [model.parent, model.parent, tmp_path, tmp_path]


def test_an_archive_puts_nothing_outside_of_its_folder(model: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as opened:
        for name in ("detector.json", "../escaped", "/tmp/escaped-from-an-archive", "folder/inner"):
            opened.add(model / "detector.json", name)
        link = tarfile.TarInfo("anchors.npy")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    with model_folders.serving_root(tmp_path / "model.tar.gz") as root:
        assert [path.name for path in root.rglob("*")] == ["model", "detector.json"]


def test_what_is_no_model_is_one_sentence(model: Path, port: int, tmp_path: Path, screen: Console) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar.gz").write_text("no archive")
    packed = archive(model, tmp_path / "cut.tar.gz", dot=True)
    packed.write_bytes(packed.read_bytes()[:60])
    write(tmp_path / "other" / "detector.json", {"schema": "something/7"})
    write(tmp_path / "odd" / "detector.json", {"schema": "dropspot/detector/1"})
    refused = {
        "absent": "absent does not exist",
        "empty": "holds no model of the detector: it has no detector.json",
        "text.tar.gz": "is no model.tar.gz that can be unpacked",
        "cut.tar.gz": "is no model.tar.gz that can be unpacked",
        "other": "that this version can't read (schema is 'something/7', expected 'dropspot/detector/1')",
        "odd": "that this version can't read",
    }
    for name, sentence in refused.items():
        with pytest.raises(InvalidInputError) as caught:
            serve(stand_in_unused(tmp_path), tmp_path / name, port, screen, screen)
        assert sentence in str(caught.value)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def stand_in_unused(tmp_path: Path) -> Project:
    checkout = tmp_path / "checkout"
    return Project(checkout) if checkout.exists() else stand_in(checkout, "detector-serve", "exit 9")


def test_the_names_of_the_classes_are_told_where_the_training_noted_them(model: Path, tmp_path: Path) -> None:
    address = "http://127.0.0.1:8080"
    assert not any("classes:" in line for line in instructions(address, model))
    write(model.parent / "training.json", {"schema": "dropspot/training/1", "classes": ["ball", "cube"]})
    assert instructions(address, model)[-1] == "  classes: 0 ball, 1 cube"
    packed = archive(model, model.parent / "model.tar.gz", dot=True)  # perhaps of another training
    assert not any("classes:" in line for line in instructions(address, packed))


def test_without_the_environment_it_says_what_to_do(model: Path, port: int, tmp_path: Path, screen: Console) -> None:
    with pytest.raises(NotFoundError, match=r"\.envs/detector-serve/bin/python is missing: run `make setup` first"):
        serve(Project(tmp_path), model, port, screen, screen)
