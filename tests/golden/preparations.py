"""Preparations as users get them: prep in its own environment, as a process, whose files are then looked at from here.

What it writes is read with MXNet wherever MXNet can, so that prep's own reader is no part of the proof.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
CHANNELS = ("train", "validation")


def prep_python() -> Path:
    """The interpreter of prep's environment."""
    return Path(os.environ.get("DROPSPOT_PREP_PYTHON", ROOT / ".envs" / "prep" / "bin" / "python"))


@dataclass(frozen=True)
class Record:
    """One record as mxnet.recordio unpacks it."""

    record_id: int
    label: tuple[float, ...]
    image: bytes

    @property
    def boxes(self) -> list[tuple[float, ...]]:
        """Class id and corners of each box."""
        values = self.label[2:]
        return [values[at : at + 5] for at in range(0, len(values), 5)]


@dataclass(frozen=True)
class Line:
    """One line of a .lst file."""

    record_id: int
    label: tuple[float, ...]
    name: str


@dataclass(frozen=True)
class Prepared:
    """What one preparation left."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "processing" / "output" / "prepared"

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.root / "processing" / "output" / "report" / "report.json").read_text())

    @property
    def classes(self) -> list[str]:
        return json.loads((self.folder / "classes.json").read_text())["classes"]

    @property
    def truth(self) -> dict[str, Any]:
        return json.loads((self.folder / "test" / "truth.json").read_text())["images"]

    def file(self, channel: str, suffix: str) -> Path:
        return self.folder / channel / f"{channel}.{suffix}"

    def lines(self, channel: str) -> list[Line]:
        rows = (row.split("\t") for row in self.file(channel, "lst").read_text().splitlines())
        return [Line(int(first), tuple(map(float, label)), name) for first, *label, name in rows]

    def records(self, channel: str) -> list[Record]:
        return list(records(self.file(channel, "rec")))

    def stems(self) -> dict[str, list[str]]:
        """The stems of the source pictures of each side (published names are `<stem>-<digest>.jpg`)."""
        names = {channel: [line.name for line in self.lines(channel)] for channel in CHANNELS} | {
            "test": list(self.truth)
        }
        return {side: sorted(name.rpartition("-")[0] for name in found) for side, found in names.items()}

    def labels(self) -> dict[str, list[tuple[str, tuple[tuple[float, ...], ...]]]]:
        """Of each side the source pictures' stems with their boxes: class id and corners, sorted."""
        sides = {
            channel: [
                (line.name.rpartition("-")[0], tuple(sorted(record.boxes)))
                for line, record in zip(self.lines(channel), self.records(channel), strict=True)
            ]
            for channel in CHANNELS
        }
        sides["test"] = [
            (
                name.rpartition("-")[0],
                tuple(sorted((b["class_id"], b["xmin"], b["ymin"], b["xmax"], b["ymax"]) for b in stated["boxes"])),
            )
            for name, stated in self.truth.items()
        ]
        return {side: sorted(found) for side, found in sides.items()}


def records(rec: Path) -> Iterator[Record]:
    """The records of a file as MXNet reads them."""
    import mxnet as mx

    reader = mx.recordio.MXRecordIO(str(rec), "r")
    while (payload := reader.read()) is not None:
        header, image = mx.recordio.unpack(payload)
        yield Record(header.id, tuple(float(value) for value in np.atleast_1d(header.label)), image)
    reader.close()


def prepare(root: Path, plan: Mapping[str, Any] | None = None) -> Prepared:
    """Run `python -m prep` on the data set below `root`, as SageMaker would."""
    stated = root / "processing" / "input" / "plan" / "plan.json"
    stated.parent.mkdir(parents=True, exist_ok=True)
    stated.write_text(json.dumps(dict(plan or {})))
    folders = ("prep_container", "layers/shared", "layers/imaging")
    done = subprocess.run(
        [prep_python(), "-m", "prep"],
        env={"PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in folders), "DROPSPOT_ML_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Prepared(root)


def im2rec(prefix: Path, pictures: Path, *options: str) -> None:
    """Run the im2rec.py of the MXNet wheel on `<prefix>.lst`, with one process: it keeps the list's order then."""
    import mxnet as mx

    script = Path(mx.__file__).parent / "tools" / "im2rec.py"
    command: Sequence[str] = [sys.executable, str(script), *options, "--num-thread", "1", str(prefix), str(pictures)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rror" not in done.stdout + done.stderr, done.stdout + done.stderr


def unpacked(archives: Sequence[Path], target: Path) -> Path:
    """The content of the archives below one folder."""
    for archive in archives:
        with tarfile.open(archive) as opened:
            opened.extractall(target, filter="data")
    return target
