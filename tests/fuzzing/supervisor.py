"""Cases dealt out to child processes, which may crash, hang or grow: that is a finding, and the next child goes on.

A child says "ready", then takes case numbers from stdin, one a line, and answers each with one line of JSON:

{"case": 17, "outcome": "prepared", "told": "..."}
{"case": 18, "outcome": "failed", "told": "what is wrong"}
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENOUGH = 50  # findings; more of them are a change that broke everything
_BEGIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A case that did not end as every case must."""

    case: int
    told: str


@dataclass(slots=True)
class Tally:
    """What came of all cases; `note` is told of every answer."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    note: Callable[[dict[str, Any]], None] = lambda answer: None

    def add(self, answer: dict[str, Any]) -> None:
        self.outcomes[answer["outcome"]] += 1
        self.note(answer)
        if answer["outcome"] == "failed":
            self.findings.append(Finding(answer["case"], answer["told"]))


class Child:
    """One worker process, busy with at most one case."""

    def __init__(self, command: Sequence[str], scratch: Path) -> None:
        self._stderr = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed in end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={
                **os.environ,
                "TMPDIR": str(scratch),
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self.answers = self._process.stdin, self._process.stdout
        self.case: int | None = None
        self.ready = False
        self.since = time.monotonic()

    def give(self, case: int) -> None:
        self.case, self.since = case, time.monotonic()
        self._orders.write(f"{case}\n".encode())
        self._orders.flush()

    def is_late(self, timeout: float) -> bool:
        limit = timeout if self.ready else _BEGIN_SECONDS
        return (self.case is not None or not self.ready) and time.monotonic() - self.since > limit

    def end(self) -> str:
        """Kill what is left of it; returns how it ended and its last words."""
        self._process.kill()
        code = self._process.wait()
        self._orders.close()
        self.answers.close()
        self._stderr.seek(0)
        words = self._stderr.read().decode(errors="replace")[-3000:]
        self._stderr.close()
        return f"exit code {code}\n{words}"


def run(
    command: Sequence[str],
    numbers: Iterator[int],
    scratch: Path,
    *,
    timeout: float,
    children: int = 1,
    note: Callable[[dict[str, Any]], None] = lambda answer: None,
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Try the cases in child processes, `python -m COMMAND`. Raises RuntimeError where a child doesn't even begin."""
    tally, crew = Tally(note=note), [Child(command, scratch) for _ in range(children)]
    try:
        while crew and len(tally.findings) < ENOUGH:
            with selectors.DefaultSelector() as ears:
                for child in crew:
                    ears.register(child.answers, selectors.EVENT_READ, child)
                heard = [key.data for key, _ in ears.select(timeout=1.0)]
            for position, child in enumerate(list(crew)):
                line = child.answers.readline() if child in heard else b""
                died, late = child in heard and not line, child not in heard and child.is_late(timeout)
                if died or late:
                    tally.add(_ended(child, timeout, late=late))
                    crew[position] = Child(command, scratch)
                elif line and not child.ready:
                    child.ready = True
                    _next(child, numbers)
                elif line:
                    answer = json.loads(line)
                    tally.add(answer)
                    if "of memory" in answer["told"]:  # its high-water mark would blame every later case too
                        child.end()
                        crew[position] = Child(command, scratch)
                    else:
                        _next(child, numbers)
            for child in [child for child in crew if child.ready and child.case is None]:
                child.end()
                crew.remove(child)
            report(tally)
    finally:
        for child in crew:
            child.end()
    return tally


def _next(child: Child, numbers: Iterator[int]) -> None:
    child.case = None
    for number in numbers:
        child.give(number)
        return


def _ended(child: Child, timeout: float, *, late: bool) -> dict[str, Any]:
    words = child.end()
    if child.case is None:
        raise RuntimeError(f"the child process did not begin: {words}")
    told = f"it takes longer than {timeout:g} s" if late else f"it ended the process: {words}"
    return {"case": child.case, "outcome": "failed", "told": told}


def cores() -> int:
    return len(os.sched_getaffinity(0))
