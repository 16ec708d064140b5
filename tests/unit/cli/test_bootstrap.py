import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
VERSION = (3, 11)


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "cli"))
    module = importlib.import_module("bootstrap")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    yield module
    for name in ("bootstrap", "preflight"):
        sys.modules.pop(name, None)


@pytest.fixture
def made(bootstrap: ModuleType, tmp_path: Path) -> object:
    """An environment that looks made: its lock, its python, its stamp."""
    (tmp_path / "a.txt").write_text("one==1")
    environment = bootstrap.Environment("a", ".envs/a", ("a.txt",))
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    (environment.path / "dropspot-stamp").write_text(bootstrap.stamp(environment, VERSION))
    return environment


def test_an_environment_made_from_what_is_there_is_current(bootstrap: ModuleType, made: object) -> None:
    assert bootstrap.is_current(made, VERSION)


def test_a_changed_lock_makes_it_stale(bootstrap: ModuleType, made: object, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one==2")
    assert not bootstrap.is_current(made, VERSION)


def test_another_python_makes_it_stale(bootstrap: ModuleType, made: object) -> None:
    assert not bootstrap.is_current(made, (3, 12))


def test_a_checkout_that_was_moved_makes_it_stale(
    bootstrap: ModuleType, made: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    monkeypatch.setattr(bootstrap, "ROOT", moved)
    assert not bootstrap.is_current(made, VERSION)


def test_an_interrupted_one_has_no_stamp_and_is_stale(bootstrap: ModuleType, made: object, tmp_path: Path) -> None:
    (tmp_path / ".envs" / "a" / "dropspot-stamp").unlink()
    assert not bootstrap.is_current(made, VERSION)


def test_a_missing_lock_is_named(bootstrap: ModuleType, made: object) -> None:
    with pytest.raises(bootstrap.BootstrapError, match=r"b\.txt is missing"):
        bootstrap.stamp(replace(made, locks=("b.txt",)), VERSION)  # type: ignore[type-var]  # a dataclass of a loaded module


def test_a_failing_command_is_told_with_what_it_said(bootstrap: ModuleType) -> None:
    with pytest.raises(bootstrap.BootstrapError, match=r"(?s)Trying failed \(exit code 3\).*no luck"):
        bootstrap.run("Trying", ["/bin/sh", "-c", "echo no luck; exit 3"])


def test_every_lock_of_the_checkout_exists_and_names_no_host(bootstrap: ModuleType) -> None:
    for environment in bootstrap.ENVIRONMENTS:
        for name in environment.locks:
            text = (ROOT / name).read_text()
            assert "--hash=sha256:" in text
            assert not [
                line for line in text.splitlines() if "://" in line or "index-url" in line or "find-links" in line
            ]


@pytest.mark.parametrize("has_uv", [True, False])
def test_without_ensurepip_the_first_environment_is_made_another_way(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, has_uv: bool
) -> None:
    ran: list[list[str]] = []

    def run(what: str, command: list[object]) -> None:
        words = [str(word) for word in command]
        if words[1:3] == ["-m", "venv"] and "--without-pip" not in words:
            raise bootstrap.BootstrapError(f"{what} failed: ensurepip is not available")
        ran.append(words)

    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/opt/{name}" if has_uv else None)
    bootstrap._first_environment("/usr/bin/python3")
    tools = [words[0] for words in ran]
    assert tools == (["/opt/uv", "/opt/uv"] if has_uv else ["/usr/bin/python3", "/usr/bin/python3"])
    assert "--require-hashes" in ran[-1]
    assert bootstrap.UV_LOCK in ran[-1]


@pytest.mark.parametrize(
    ("names", "made"), [((), ["main", "prep"]), (("oracle",), ["oracle"]), (("main", "oracle"), ["main", "oracle"])]
)
def test_an_optional_environment_is_made_only_when_it_is_named(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], made: list[str]
) -> None:
    kinds = [bootstrap.MAIN, *(bootstrap.Environment(name, f".envs/{name}", ()) for name in ("prep", "oracle"))]
    monkeypatch.setattr(bootstrap, "ENVIRONMENTS", [*kinds[:2], replace(kinds[2], optional=True)])
    looked_at: list[str] = []
    monkeypatch.setattr(bootstrap, "is_current", lambda one, version: not looked_at.append(one.name))
    bootstrap.build(names)
    assert looked_at == made


def test_only_what_holds_against_other_projects_is_optional(bootstrap: ModuleType) -> None:
    assert [one.name for one in bootstrap.ENVIRONMENTS if one.optional] == ["oracle", "gluoncv", "oracle-2022"]
