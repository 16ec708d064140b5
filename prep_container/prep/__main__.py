"""Entry point: `python -m prep` in the container, `python -m prep SOURCE... OUT` on a user's machine.

The container's folders lie below DROPSPOT_ML_ROOT, /opt/ml by default. DROPSPOT_TASK names a job of a backfill instead.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

from dropspot.errors import DropspotError
from dropspot.plan_fields import Fields, stated
from dropspot.preparation_plan import PreparationPlan
from prep import standalone
from prep.backfill import run_task
from prep.folders import Folders
from prep.pipeline import prepare

MESSAGE_BYTES = 1024
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Prepare what the arguments, or else the container's folders, hold. Returns the exit code."""
    for signum in _STOPPING:
        signal.signal(signum, _stop)
    if arguments:
        request = standalone.parse(arguments)
        return guarded(lambda: standalone.run(request, _say), None)
    root = Path(environment.get("DROPSPOT_ML_ROOT", "/opt/ml"))
    folders = Folders.of_container(root, environment)
    if task := environment.get("DROPSPOT_TASK"):
        return guarded(lambda: run_task(task, root, environment, _say), folders.message)
    return guarded(lambda: prepare(folders, _plan(folders.plan), say=_say), folders.message)


def guarded(job: Callable[[], object], message: Path | None) -> int:
    """Run a job and return its exit code; a failure is told in one sentence, to SageMaker too where it listens."""
    try:
        job()
    except DropspotError as error:
        return _fail(message, str(error), 1)
    except OSError as error:
        return _fail(message, f"preparation could not read or write its files: {error}", 1)
    except _Stopped as stopped:
        return _fail(message, "preparation was stopped before it was finished", 128 + stopped.signum)
    except Exception as error:  # noqa: BLE001  # the last edge: whatever it was, the job must say so
        traceback.print_exc()
        return _fail(message, f"preparation failed for a reason nobody foresaw: {type(error).__name__}: {error}", 1)
    return 0


def _plan(path: Path) -> PreparationPlan:
    """Read a plan; every default holds where there is none. Fields of later steps are not looked at."""
    text = path.read_bytes() if path.exists() else b"{}"
    return PreparationPlan.take(Fields(stated(text, path.name), path.name))


class _Stopped(BaseException):
    """SIGTERM or Ctrl-C arrived. Unwinds, so that workers end and the scratch folder goes."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def _stop(signum: int, _frame: FrameType | None) -> None:
    for further in _STOPPING:  # another one must not interrupt the tidying up
        signal.signal(further, signal.SIG_IGN)
    raise _Stopped(signum)


def _say(line: str) -> None:
    _tell(line, sys.stdout)


def _tell(line: str, stream: TextIO) -> None:
    """Print a line; where nobody reads the stream any longer (`| head`), go on without a word."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # what is still in the buffer would fail again at the end
        os.close(nowhere)


def _fail(message: Path | None, sentence: str, code: int) -> int:
    """Tell a person (stderr) and SageMaker (the message file: UTF-8, one kilobyte) why."""
    sentence = " ".join(sentence.split())
    _tell(sentence, sys.stderr)
    if message is None:
        return code
    try:
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_bytes(sentence.encode("utf-8", "replace")[:MESSAGE_BYTES].decode("utf-8", "ignore").encode())
    except OSError as error:
        _tell(f"the message file could not be written: {error}", sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
