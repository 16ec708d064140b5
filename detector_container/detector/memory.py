"""How much memory this process may still take."""

from pathlib import Path

_UNKNOWN = 4 << 30  # where the system doesn't say, as outside of Linux
# A container's limit, what of it is used and the statistics of that: control groups version 2, then version 1.
_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_memory(meminfo: Path = Path("/proc/meminfo"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes available: what the machine has left, or less where a container's limit leaves less.

    Cached file content that isn't in use counts as available in both.
    """
    left = [value * 1024 for name, value in _table(meminfo).items() if name == "MemAvailable:"]
    for limit_file, usage_file, statistics, inactive in _GROUPS:
        limit, usage = _number(groups / limit_file), _number(groups / usage_file)
        if limit is not None and usage is not None:
            left.append(max(limit - usage + _table(groups / statistics).get(inactive, 0), 0))
    return min(left, default=_UNKNOWN)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # ValueError: `max`, no limit
        return None


def _table(path: Path) -> dict[str, int]:
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
