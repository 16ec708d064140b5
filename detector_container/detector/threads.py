"""How many threads to use: the processors this process may really run on."""

import os
from collections.abc import MutableMapping
from pathlib import Path

# A container's share of the processors as files of quota and period, both in microseconds: control groups version 2 has
# one file for both and says `max` where there is no limit, version 1 has two and says -1.
_CGROUPS = Path("/sys/fs/cgroup")
_VERSION_2 = ("cpu.max",)
_VERSION_1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


def available_cores(cgroups: Path = _CGROUPS) -> int:
    """Return the processors available: the affinity mask, capped by a container's quota (whole processors alone)."""
    cores = len(os.sched_getaffinity(0))
    for names in (_VERSION_2, _VERSION_1):
        try:
            quota, period = (int(text) for text in " ".join((cgroups / name).read_text() for name in names).split())
        except (OSError, ValueError):  # there is no such file, or no limit
            continue
        if quota > 0 and period > 0:
            cores = min(cores, quota // period)
    return max(1, cores)


def set_openmp_threads(env: MutableMapping[str, str] = os.environ) -> None:
    """Say how many threads OpenMP may start, unless it is said already.

    MXNet uses one where this is unset; call before importing it.
    """
    env.setdefault("OMP_NUM_THREADS", str(available_cores()))
