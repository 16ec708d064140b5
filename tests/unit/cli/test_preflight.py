import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def preflight() -> ModuleType:
    spec = importlib.util.spec_from_file_location("preflight", ROOT / "cli" / "preflight.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_this_interpreter_is_probed_for_its_version(preflight: ModuleType) -> None:
    assert preflight.probe(sys.executable) == sys.version_info[:2]


def test_a_shim_that_only_complains_is_no_interpreter(preflight: ModuleType, tmp_path: Path) -> None:
    shim = program(tmp_path, "python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    assert preflight.probe(shim) is None
    assert preflight.probe(str(tmp_path / "nothing")) is None


def test_a_working_interpreter_is_found_behind_a_broken_shim(
    preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shims, own = tmp_path / "shims", tmp_path / "pyenv" / "versions" / "3.11.9" / "bin"
    shims.mkdir()
    own.mkdir(parents=True)
    program(shims, "python3.11", "exit 127")
    program(own, "python", "echo 3 11")
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert preflight.find((3, 11)) == str(own / "python")
    assert preflight.find((3, 12)) == ""


def test_a_newer_python_than_supported_leads_to_an_older_one(
    preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "python3.12", "echo 3 12")
    program(tmp_path, "python3.11", "echo 3 11")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    chosen = preflight.interpreters()
    assert chosen == (str(tmp_path / "python3.12"), (3, 12), str(tmp_path / "python3.11"))


def test_a_machine_without_any_supported_python_is_told_so(
    preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    assert preflight.interpreters() is None
    assert "Python 3.11, 3.12 or 3.13" in [thing.what for thing in preflight.missing(None)]


def test_every_missing_thing_is_named_and_one_command_installs_them(
    preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "apt-get", "true")
    monkeypatch.setenv("PATH", str(tmp_path))  # no make
    monkeypatch.setattr(preflight, "loadable", lambda library: library == "libstdc++.so.6")
    monkeypatch.setattr(preflight, "can_make_environments", lambda _: False)
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 1000)
    text = preflight.report(preflight.missing(preflight.Interpreters("/usr/bin/python3", (3, 11), "")))
    for thing in ("libgomp.so.1", "libquadmath.so.0", "make", "the venv module of /usr/bin/python3"):
        assert f"- {thing}" in text
    install = "sudo apt-get update && sudo apt-get install -y libgomp1 libquadmath0 make python3-venv"
    assert text.splitlines()[-1].strip() == install


def test_root_needs_no_sudo_and_fedora_gets_its_own_names(
    preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "dnf", "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 0)
    assert preflight.remedy([preflight.Missing("libgomp.so.1", "libgomp")]) == "dnf install -y libgomp"


def test_another_platform_is_refused_with_the_reason(preflight: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.platform, "machine", lambda: "aarch64")
    text = preflight.report(preflight.missing(preflight.Interpreters(sys.executable, (3, 11), sys.executable)))
    assert "Linux on x86-64" in text
    assert "Use a Linux x86-64 machine" in text


def test_a_library_is_looked_for_by_the_dynamic_loader(preflight: ModuleType) -> None:
    assert preflight.loadable("libc.so.6")
    assert not preflight.loadable("libdropspot-of-nobody.so.1")
