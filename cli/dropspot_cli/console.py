"""Where the command speaks: results on stdout, errors on stderr."""

from rich.console import Console

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def duration(seconds: float) -> str:
    """Return a length of time as people say it: 8 s, 2 min 05 s, 1 h 20 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 picture, 2 pictures."""
    return f"{number} {one if number == 1 else many or one + 's'}"
