"""A bare loop that decodes every JPEG of a folder with prep's codec and does nothing with the pixels.

`python decode_loop.py MARKS FOLDER PROCESSES COLOURS`, in prep's environment; COLOURS is RGB, or GRAY for the luma.
MARKS becomes two doubles of the system-wide monotonic clock: when the slowest process to start was ready and when the
last picture was decoded.
"""

from __future__ import annotations

import multiprocessing
import struct
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import simplejpeg  # type: ignore[import-untyped]

MARKS = struct.Struct("<dd")


def decode(paths: Sequence[Path], colours: str, ready: Connection) -> None:
    """Say that this process began, wait for the word, decode."""
    ready.send(None)
    ready.recv()
    for path in paths:
        simplejpeg.decode_jpeg(path.read_bytes(), colours, fastdct=False, fastupsample=False, strict=True)
    ready.send(time.monotonic())


def main(marks: Path, folder: Path, processes: int, colours: str) -> None:
    """Share the pictures out, start all processes at once and note when the last is done."""
    paths, crew = sorted(folder.glob("*.jpg")), []
    for number in range(processes):
        ours, theirs = multiprocessing.Pipe()
        worker = multiprocessing.Process(target=decode, args=(paths[number::processes], colours, theirs))
        worker.start()
        ours.recv()
        crew.append((worker, ours))
    started = time.monotonic()
    for _, ours in crew:
        ours.send(None)
    ended = max(ours.recv() for _, ours in crew)
    for worker, _ in crew:
        worker.join()
    marks.write_bytes(MARKS.pack(started, ended))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
