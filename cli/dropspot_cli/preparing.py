"""`dropspot prepare`: the preparation container's code on files of this machine, in its own environment; no cloud."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from dropspot_cli.project import Project

_CODE = ("prep_container", "layers/shared", "layers/imaging")
# A closed terminal stops the preparation as a service manager would
_FORWARDED = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,
}


def prepare(
    project: Project,
    sources: Sequence[Path],
    out: Path,
    errors: Console,
    *,
    plan: Path | None = None,
    workers: int | None = None,
    prepared_uri: str = "",
) -> int:
    """Prepare the sources into `out` and return the exit code; why it failed goes to `errors` in one sentence.

    What the preparation says goes to stdout as it comes. Signals are passed on to it, and it is waited for.
    """
    command = [project.program("prep", "python"), "-m", "prep"]
    command += ["--plan", plan] if plan else []
    command += ["--workers", str(workers)] if workers is not None else []
    command += ["--prepared-uri", prepared_uri] if prepared_uri else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(project.root / part) for part in _CODE)}
    # a session of its own: Ctrl-C must reach the preparation once, and its workers through it alone
    job = subprocess.Popen(
        [str(word) for word in (*command, "--", *sources, out)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with _signals_passed_on_to(job):
        _, told = job.communicate()
    *before, last = told.splitlines() or [""]
    for line in before:
        errors.print(line, markup=False, soft_wrap=True)
    if job.returncode and not last:  # it was killed
        last = f"the preparation ended without a word (exit code {job.returncode})"
    if last:
        errors.print(f"[red]dropspot:[/] {escape(last)}", soft_wrap=True)
    return job.returncode


@contextmanager
def _signals_passed_on_to(job: subprocess.Popen[str]) -> Iterator[None]:
    def pass_on(signum: int, _frame: FrameType | None) -> None:
        job.send_signal(_FORWARDED[signal.Signals(signum)])

    before = {signum: signal.signal(signum, pass_on) for signum in _FORWARDED}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
