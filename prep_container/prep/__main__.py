"""Entry point of the container: `python -m prep`, with the root of its folders in DROPSPOT_ML_ROOT."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from dropspot.errors import DropspotError
from dropspot.plan_fields import Fields, stated
from dropspot.preparation_plan import PreparationPlan
from prep.paths import ContainerPaths
from prep.pipeline import prepare

STOPPED = 128 + signal.SIGTERM
MESSAGE_BYTES = 1024


def main(root: Path) -> int:
    """Prepare the data set below `root`. Returns the exit code; a failure is told in one sentence."""
    signal.signal(signal.SIGTERM, _stop)
    paths = ContainerPaths(root)
    try:
        prepare(paths, _plan(paths.plan), say=_say)
    except DropspotError as error:
        return _fail(paths, str(error), 1)
    except OSError as error:
        return _fail(paths, f"preparation could not read or write its files: {error}", 1)
    except _Stopped:
        return _fail(paths, "preparation was stopped before it was finished", STOPPED)
    except Exception as error:  # noqa: BLE001  # the last edge: whatever it was, the job must say so
        traceback.print_exc()
        return _fail(paths, f"preparation failed for a reason nobody foresaw: {type(error).__name__}: {error}", 1)
    return 0


def _plan(path: Path) -> PreparationPlan:
    """Read a plan; every default holds where there is none. Fields of later steps are not looked at."""
    text = path.read_bytes() if path.exists() else b"{}"
    return PreparationPlan.take(Fields(stated(text, path.name), path.name))


class _Stopped(BaseException):
    """SIGTERM arrived. Unwinds like Ctrl-C, so that workers end and the scratch folder goes."""


def _stop(_signum: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the tidying up
    raise _Stopped


def _say(line: str) -> None:
    print(line, flush=True)


def _fail(paths: ContainerPaths, sentence: str, code: int) -> int:
    """Tell a person (stderr) and SageMaker (the message file: UTF-8, one kilobyte) why."""
    sentence = " ".join(sentence.split())
    print(sentence, file=sys.stderr, flush=True)
    try:
        paths.message.parent.mkdir(parents=True, exist_ok=True)
        paths.message.write_bytes(
            sentence.encode("utf-8", "replace")[:MESSAGE_BYTES].decode("utf-8", "ignore").encode()
        )
    except OSError as error:
        print(f"the message file could not be written: {error}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(os.environ.get("DROPSPOT_ML_ROOT", "/opt/ml"))))
