"""The number of threads follows the processors a container really has."""

import os
from pathlib import Path

import pytest

from detector.threads import available_cores, set_openmp_threads


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "350000 100000\n"}, 3),  # a fourth thread would mostly wait
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_quota_caps_the_affinity_mask(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores(tmp_path) == cores


def test_openmp_is_told_unless_it_has_been() -> None:
    told, asked = {}, {"OMP_NUM_THREADS": "7"}
    for env in (told, asked):
        set_openmp_threads(env)
    assert told == {"OMP_NUM_THREADS": str(available_cores())}
    assert asked == {"OMP_NUM_THREADS": "7"}
