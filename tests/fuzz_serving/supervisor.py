"""Cases dealt out to child processes: a crash or a hang ends a child, is a finding, and the next child goes on."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

TIMEOUT = 60.0
_BEGIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A case that went as none may, and how."""

    case: int
    told: str


@dataclass(slots=True)
class Tally:
    """What became of the cases: statuses, and the findings."""

    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.statuses.total()


@dataclass(slots=True)
class _Child:
    """A process with one case at a time; its errors go to a file."""

    process: subprocess.Popen[bytes]
    errors: Path
    case: int | None = None
    since: float = 0.0
    ready: bool = False

    @property
    def answers(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def give(self, numbers: Iterator[int]) -> bool:
        """Hand it the next case; False where there is none."""
        self.case, self.since = next(numbers, None), time.monotonic()
        if self.case is not None:
            assert self.process.stdin is not None
            self.process.stdin.write(f"{self.case}\n".encode())
            self.process.stdin.flush()
        return self.case is not None

    def end(self) -> str:
        """Kill it; return how it had ended before, and its last words."""
        code = self.process.poll()
        self.process.kill()
        self.process.communicate()
        words = self.errors.read_text(errors="replace").strip()
        self.errors.unlink()
        return f"exit code {self.process.returncode if code is None else code}\n{words[:2000]}"


def run(
    seed: int,
    numbers: Iterator[int],
    model: Path,
    scratch: Path,
    *,
    children: int = 2,
    timeout: float = TIMEOUT,
    saboteur: str = "",
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Try the cases; RuntimeError where a child cannot even begin."""
    tally, made = Tally(), iter(range(sys.maxsize))

    def start() -> _Child:
        errors = scratch / f"errors-{next(made)}"
        extra = ["--saboteur", saboteur] if saboteur else []
        command = [sys.executable, "-m", "fuzz_serving.worker", "--seed", str(seed), "--model", str(model), *extra]
        with errors.open("wb") as stream:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream)
        child = _Child(process, errors, since=time.monotonic())
        selector.register(child.answers, selectors.EVENT_READ, child)
        return child

    with selectors.DefaultSelector() as selector:
        crew = [start() for _ in range(children)]
        try:
            while crew:
                events = {key.data.process.pid for key, _ in selector.select(0.5)}
                for child in list(crew):
                    late = time.monotonic() - child.since > (timeout if child.ready else _BEGIN_SECONDS)
                    if child.process.pid not in events and not late:
                        continue
                    line = b"" if child.process.pid not in events else child.answers.readline()
                    if line:
                        _note(child, line, tally)
                        if child.give(numbers):
                            continue
                    selector.unregister(child.answers)
                    crew.remove(child)
                    words = child.end()
                    if line:
                        continue
                    if not child.ready:
                        raise RuntimeError(f"the child process did not begin: {words}")
                    assert child.case is not None
                    told = f"it takes longer than {timeout:g} s" if late else f"it ended the process: {words}"
                    tally.statuses[0] += 1
                    tally.findings.append(Finding(child.case, told))
                    crew.append(start())
                report(tally)
        finally:
            for child in crew:
                child.end()
    return tally


def _note(child: _Child, line: bytes, tally: Tally) -> None:
    if not child.ready:
        child.ready = True
        return
    answer: dict[str, Any] = json.loads(line)
    tally.statuses[answer["status"]] += 1
    if answer["told"]:
        tally.findings.append(Finding(answer["case"], answer["told"]))


def cores() -> int:
    return len(os.sched_getaffinity(0))
