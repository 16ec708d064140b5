"""The whole preparation of a container's folders, with the times of its first and last picture noted.

`python timed_prep.py MARKS ROOT`, in prep's environment. MARKS becomes two doubles of the system-wide monotonic clock:
when the first picture had been decoded, and when the last one had been written, be it as a record or held out.
Everything is as in `python -m prep` (one worker for each core that this process may use); only where pictures are
counted, and after all of them have been written, it also looks at the clock. And the scratch folder, below the output,
is emptied and not deleted: see aside.py.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aside import empty

from dropspot.plan_fields import Fields, stated
from dropspot.preparation_plan import PreparationPlan
from prep import pipeline
from prep.folders import Folders
from prep.progress import Progress

MARKS = struct.Struct("<dd")


def main(marks: Path, root: Path) -> None:
    """Prepare, then write down when the first and the last picture were done."""
    times: list[float] = []
    advance, write_prepared = Progress.advance, pipeline.write_prepared

    def noted_advance(self: Any) -> None:
        advance(self)
        times.append(time.monotonic())

    def noted_write(*arguments: Any) -> None:
        write_prepared(*arguments)
        times.append(time.monotonic())

    @contextmanager
    def emptied_scratch(_preferred: Path) -> Iterator[Path]:
        scratch = Path(tempfile.mkdtemp(prefix="prep-", dir=folders.prepared.parent))
        yield scratch
        empty(scratch, "*.jpg")

    Progress.advance = noted_advance  # type: ignore[method-assign]
    pipeline.write_prepared = noted_write
    pipeline._scratch = emptied_scratch  # noqa: SLF001 - what is deleted slows down the runs behind this one
    folders = Folders.of_container(root)
    plan = PreparationPlan.take(Fields(stated(folders.plan.read_bytes(), folders.plan.name), folders.plan.name))
    pipeline.prepare(folders, plan, say=print)
    marks.write_bytes(MARKS.pack(times[0], times[-1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
