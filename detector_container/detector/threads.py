"""How many threads to use: the processors this process may really run on."""

import os
from collections.abc import MutableMapping
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota_file: Path = _CGROUP_QUOTA) -> int:
    """Return the processors available: the affinity mask, capped by a container's quota."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def set_openmp_threads(env: MutableMapping[str, str] = os.environ) -> None:
    """Say how many threads OpenMP may start, unless it is said already.

    MXNet uses one where this is unset; call before importing it.
    """
    env.setdefault("OMP_NUM_THREADS", str(available_cores()))
