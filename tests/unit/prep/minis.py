"""Small data sets made on the fly."""

from __future__ import annotations

import io
import json
import random
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import settings
from PIL import Image

from dropspot.plan_fields import Fields
from dropspot.preparation_plan import PreparationPlan
from prep.paths import ContainerPaths
from prep.pipeline import prepare
from prep.recordio import DetectionRecord, read_records, unpack

# Properties are tried on the same cases in every run.
seeded = settings(derandomize=True, deadline=None)

BoxSpec = tuple[str, float, float, float, float]
ROOT = Path(__file__).parents[3]


def picture_bytes(seed: int, size: tuple[int, int] = (64, 48), kind: str = "JPEG", **options: Any) -> bytes:
    """An encoded picture of coloured blocks that no other seed has."""
    draw = random.Random(seed)
    small = Image.new("RGB", (8, 6))
    small.putdata([(draw.randrange(256), draw.randrange(256), draw.randrange(256)) for _ in range(48)])
    buffer = io.BytesIO()
    small.resize(size, Image.Resampling.NEAREST).save(buffer, kind, **options)
    return buffer.getvalue()


def voc_xml(boxes: Sequence[BoxSpec], filename: str = "", size: tuple[int, int] | None = None) -> str:
    objects = "".join(
        f"<object><name>{escape(name)}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
        "</bndbox><difficult>0</difficult></object>"
        for name, a, b, c, d in boxes
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>{escape(filename)}</filename>{stated}{objects}</annotation>"


@dataclass
class Result:
    """What one preparation left, and helpers to ask it."""

    paths: ContainerPaths
    report: dict[str, Any]
    said: list[str]

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.paths.report / "quarantine.jsonl").read_text().splitlines()]

    def codes(self, *, left_out: bool = True) -> dict[str, str]:
        """File to code (of whole files)."""
        return {e["file"]: e["code"] for e in self.quarantine if e.get("left_out", True) is left_out and "box" not in e}

    @property
    def truth(self) -> dict[str, Any]:
        return json.loads((self.paths.prepared / "test" / "truth.json").read_text())["images"]

    def records(self, channel: str) -> list[DetectionRecord]:
        return [unpack(payload) for payload in read_records(self.paths.prepared / channel / f"{channel}.rec")]

    def pictures(self) -> dict[str, list[bytes]]:
        """The encoded pictures of each side."""
        test = [path.read_bytes() for path in sorted((self.paths.prepared / "test" / "images").iterdir())]
        sides = {channel: [record.image for record in self.records(channel)] for channel in ("train", "validation")}
        return {**sides, "test": test}

    def prepared(self) -> dict[str, bytes]:
        """Every output file by its relative path."""
        folder = self.paths.prepared
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class MiniDataset:
    """Builds a data set below a processing root, then prepares it."""

    def __init__(self, root: Path) -> None:
        self.paths = ContainerPaths(root)
        self.paths.dataset.mkdir(parents=True)

    def put(self, path: str, content: bytes | str) -> Path:
        target = self.paths.dataset / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def pair(self, stem: str, seed: int, boxes: Sequence[BoxSpec] = (("cat", 5, 5, 40, 30),), **options: Any) -> None:
        """images/<stem>.jpg and annotations/xmls/<stem>.xml."""
        self.put(f"images/{stem}.jpg", picture_bytes(seed, **options))
        self.put(f"annotations/xmls/{stem}.xml", voc_xml(boxes, f"{stem}.jpg"))

    def good(self, count: int = 10, classes: Sequence[str] = ("cat", "dog")) -> MiniDataset:
        """`count` sound pairs, the classes taking turns."""
        for i in range(count):
            self.pair(f"good_{i:02d}", 1000 + i, [(classes[i % len(classes)], 5, 5, 40, 30)])
        return self

    def tar(self, name: str, members: Mapping[str, bytes], mode: str = "w:gz") -> Path:
        target = self.paths.dataset / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
            for path, content in members.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return target

    def zip(self, name: str, members: Mapping[str, bytes]) -> Path:
        target = self.paths.dataset / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in members.items():
                archive.writestr(path, content)
        return target

    def files(self) -> dict[str, bytes]:
        folder = self.paths.dataset
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def run(self, plan: Mapping[str, Any] | None = None, workers: int = 1) -> Result:
        said: list[str] = []
        report = prepare(
            self.paths, PreparationPlan.take(Fields(dict(plan or {}), "the plan")), say=said.append, workers=workers
        )
        return Result(self.paths, report, said)
