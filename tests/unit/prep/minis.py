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
from prep.folders import Folders
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

    paths: Folders
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

    def stems(self) -> dict[str, str]:
        """The side that each picture is on, by the stem of its source."""
        names = {side: [line.rsplit("\t")[-1] for line in self._lst(side)] for side in ("train", "validation")}
        return {name.rpartition("-")[0]: side for side, of in {**names, "test": self.truth}.items() for name in of}

    def _lst(self, channel: str) -> list[str]:
        return (self.paths.prepared / channel / f"{channel}.lst").read_text().splitlines()

    def prepared(self) -> dict[str, bytes]:
        """Every output file by its relative path."""
        folder = self.paths.prepared
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class MiniDataset:
    """Builds a data set below a processing root, then prepares it."""

    def __init__(self, root: Path) -> None:
        self.paths = Folders.of_container(root)
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


@dataclass(frozen=True)
class Labelled:
    """A picture, made from its seed, and the pixels' edges of its boxes; expressed in any layout below."""

    stem: str
    boxes: tuple[BoxSpec, ...]
    size: tuple[int, int] = (64, 48)
    seed: int = 1


SAMPLE = (
    Labelled("first", (("cat", 5, 5, 40, 30), ("dog", 0, 1, 64, 48)), seed=11),
    Labelled("second", (("dog", 10, 8, 22, 47),), size=(80, 100), seed=12),
    Labelled("bird's eye é", (("rare bird", 1, 2, 3, 5),), size=(33, 77), seed=13),
    Labelled("nothing", (), seed=14),
)


def class_order(pictures: Sequence[Labelled]) -> list[str]:
    return sorted({box[0] for picture in pictures for box in picture.boxes})


def put_pictures(mini: MiniDataset, pictures: Sequence[Labelled], folder: str = "images") -> None:
    for picture in pictures:
        mini.put(f"{folder}/{picture.stem}.jpg", picture_bytes(picture.seed, picture.size))


def as_voc(mini: MiniDataset, pictures: Sequence[Labelled] = SAMPLE, folder: str = "images") -> None:
    """annotations/<stem>.xml."""
    put_pictures(mini, pictures, folder)
    for picture in pictures:
        mini.put(f"annotations/{picture.stem}.xml", voc_xml(picture.boxes, f"{picture.stem}.jpg", picture.size))


def coco_document(pictures: Sequence[Labelled], prefix: str = "") -> dict[str, Any]:
    """The pictures as one COCO document; ids are neither contiguous nor in order."""
    classes = class_order(pictures)
    boxes = [(i, box) for i, picture in enumerate(pictures) for box in picture.boxes]
    return {
        "info": {"description": "mini"},
        "images": [
            {"id": 700 - i, "file_name": f"{prefix}{p.stem}.jpg", "width": p.size[0], "height": p.size[1]}
            for i, p in enumerate(pictures)
        ],
        "annotations": [
            {
                "id": 90 + number,
                "image_id": 700 - i,
                "category_id": 3 + 7 * classes.index(name),
                "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                "area": (xmax - xmin) * (ymax - ymin),
                "segmentation": [[xmin, ymin, xmax, ymin, xmax, ymax]],
                "iscrowd": 0,
            }
            for number, (i, (name, xmin, ymin, xmax, ymax)) in enumerate(boxes)
        ],
        "categories": [
            {"id": 3 + 7 * number, "name": name, "supercategory": "thing"} for number, name in enumerate(classes)
        ],
    }


def as_coco(
    mini: MiniDataset,
    pictures: Sequence[Labelled] = SAMPLE,
    path: str = "annotations/instances.json",
    folder: str = "images",
) -> None:
    """One file for all pictures."""
    put_pictures(mini, pictures, folder)
    mini.put(path, json.dumps(coco_document(pictures)))


def as_yolo(
    mini: MiniDataset,
    pictures: Sequence[Labelled] = SAMPLE,
    part: str = "",
    classes: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
) -> None:
    """images/<part>/<stem>.jpg, labels/<part>/<stem>.txt, and data.yaml (written as JSON, which YAML contains)."""
    names, below = list(classes) or class_order(pictures), f"/{part}" if part else ""
    put_pictures(mini, pictures, f"images{below}")
    for picture in pictures:
        w, h = picture.size
        lines = [
            f"{names.index(name)} {(a + c) / 2 / w:.17g} {(b + d) / 2 / h:.17g} {(c - a) / w:.17g} {(d - b) / h:.17g}\n"
            for name, a, b, c, d in picture.boxes
        ]
        mini.put(f"labels{below}/{picture.stem}.txt", "".join(lines))
    mini.put("data.yaml", json.dumps({"nc": len(names), "names": names, **(config or {})}, ensure_ascii=False))


def sagemaker_boxes(picture: Labelled, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "image_size": [{"width": picture.size[0], "height": picture.size[1], "depth": 3}],
        "annotations": [
            {"class_id": classes.index(name), "left": a, "top": b, "width": c - a, "height": d - b}
            for name, a, b, c, d in picture.boxes
        ],
    }


def as_sagemaker_json(
    mini: MiniDataset, pictures: Sequence[Labelled] = SAMPLE, folder: str = "images", categories: bool = True
) -> None:
    """annotations/<stem>.json."""
    put_pictures(mini, pictures, folder)
    classes = class_order(pictures)
    listed = [{"class_id": number, "name": name} for number, name in enumerate(classes)]
    for picture in pictures:
        document = {"file": f"{picture.stem}.jpg", **sagemaker_boxes(picture, classes)}
        if categories:
            document["categories"] = listed
        mini.put(f"annotations/{picture.stem}.json", json.dumps(document))


def manifest_line(picture: Labelled, classes: Sequence[str], uri: str, label: str = "bounding-box") -> dict[str, Any]:
    used = {classes.index(box[0]) for box in picture.boxes}
    return {
        "source-ref": uri,
        label: sagemaker_boxes(picture, classes),
        f"{label}-metadata": {
            "objects": [{"confidence": 0.09}] * len(picture.boxes),
            "class-map": {str(number): classes[number] for number in sorted(used)},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": "2026-01-18T02:29:14.000000",
            "job-name": "labeling-job/mini",
        },
    }


def as_manifest(
    mini: MiniDataset,
    pictures: Sequence[Labelled] = SAMPLE,
    path: str = "output.manifest",
    folder: str = "images",
    uri: str = "s3://bucket/datasets/mini/",
) -> None:
    """One line for each picture, which lies at `uri` followed by its path."""
    put_pictures(mini, pictures, folder)
    classes = class_order(pictures)
    lines = [json.dumps(manifest_line(p, classes, f"{uri}{folder}/{p.stem}.jpg")) for p in pictures]
    mini.put(path, "".join(f"{line}\n" for line in lines))


# Each writes the same pictures and boxes in its layout.
LAYOUT_WRITERS = {
    "voc": as_voc,
    "coco": as_coco,
    "yolo": as_yolo,
    "sagemaker-json": as_sagemaker_json,
    "manifest": as_manifest,
}
