"""The memory available is the machine's, or the container's where that is less."""

from pathlib import Path

import pytest

from detector.memory import available_memory


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    8000 kB\n")
    return path


def test_a_machine_says_what_is_available(meminfo: Path, tmp_path: Path) -> None:
    assert available_memory(meminfo, tmp_path) == 8000 * 1024


def test_a_containers_limit_counts_without_its_idle_cache(meminfo: Path, tmp_path: Path) -> None:
    for name, text in (("max", "5000000\n"), ("current", "4000000\n"), ("stat", "anon 1\ninactive_file 500000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert available_memory(meminfo, tmp_path) == 1_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(meminfo, tmp_path) == 8000 * 1024


def test_the_first_version_of_control_groups_is_understood(meminfo: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("3000000")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("3500000")
    assert available_memory(meminfo, tmp_path) == 0


def test_another_system_gets_a_fixed_amount(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "none", tmp_path) == 4 << 30
