"""What the figures were measured on: the processor, the memory, the versions of everything compared."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

PACKAGES = """
import importlib.metadata as m, platform
names = ("mxnet", "numpy", "opencv-python-headless", "pillow", "simplejpeg")
have = {d.metadata["Name"].lower(): d.version for d in m.distributions()}
print(", ".join([f"Python {platform.python_version()}", *(f"{n} {have[n]}" for n in names if n in have)]))
"""


def hardware() -> str:
    """Processor, cores that may be used, memory, system."""
    cpu = _field("/proc/cpuinfo", "model name")
    memory = int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    cores = len(os.sched_getaffinity(0))
    return f"{cpu}, {cores} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"


def versions(python: Path) -> str:
    """The Python of an environment and the packages that matter here."""
    return subprocess.run([python, "-c", PACKAGES], capture_output=True, text=True, check=True).stdout.strip()


def load() -> float:
    """Processes that wanted a core during the last minute, this measurement's own included."""
    return os.getloadavg()[0]


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
