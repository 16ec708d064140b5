"""The im2rec.py of the MXNet wheel, unchanged, with the times of its first and last written record noted.

`python timed_im2rec.py MARKS [im2rec's arguments]`, in the environment that has MXNet. MARKS becomes two doubles of the
system-wide monotonic clock. The writing process (a fork, where im2rec has several) notes them after each record.
"""

from __future__ import annotations

import os
import runpy
import struct
import sys
import time
from pathlib import Path
from typing import Any

import mxnet as mx

MARKS = struct.Struct("<dd")


def main(marks: str, arguments: list[str]) -> None:
    """Run im2rec as if it had been called by itself."""
    file = os.open(marks, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    write, first = mx.recordio.MXIndexedRecordIO.write_idx, 0.0

    def noted(self: Any, key: int, payload: bytes) -> None:
        nonlocal first
        write(self, key, payload)
        now = time.monotonic()
        first = first or now
        os.pwrite(file, MARKS.pack(first, now), 0)

    mx.recordio.MXIndexedRecordIO.write_idx = noted
    script = Path(mx.__file__).parent / "tools" / "im2rec.py"
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
