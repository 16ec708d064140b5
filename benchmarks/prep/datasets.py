"""One data set laid out for both programs: an upload for prep, a list for im2rec, the pictures being the same files."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aside import set_aside
from pictures import CLASSES, BoxOf, Kind, Made, home, pictures

ANNOTATION = (
    "<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    "{objects}</annotation>"
)
OBJECT = (
    "<object><name>{}</name><difficult>0</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


@dataclass(frozen=True, slots=True)
class Benchmarked:
    """A data set ready for both: `root` for prep, `prefix` and `images` for im2rec."""

    name: str
    root: Path
    prefix: Path
    images: Path
    count: int
    bytes: int
    pixels: int

    def plan(self, fields: Mapping[str, object]) -> None:
        """Write the plan of the next preparation."""
        path = self.root / "processing" / "input" / "plan" / "plan.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields))

    def read(self) -> None:
        """Read every picture once, so that no program pays for a cold disk."""
        for path in self.images.iterdir():
            path.read_bytes()


def generated(work: Path, kind: Kind, count: int) -> Benchmarked:
    """The first `count` generated pictures of a kind."""
    return _laid_out(work / f"{kind.name}-{count}", pictures(work, kind, count), home(work, kind))


def pets(work: Path, folder: Path) -> Benchmarked:
    """The annotated JPEGs of the Oxford pets sample in `folder`; whatever else it holds im2rec cannot read."""
    source = work / "pets-source"
    if not source.exists():
        for archive in sorted(folder.glob("*.tar.gz")):
            with tarfile.open(archive) as opened:
                opened.extractall(source, filter="data")
    made = []
    for xml in sorted((source / "annotations" / "xmls").glob("*.xml")):
        image = source / "images" / f"{xml.stem}.jpg"
        if image.is_file() and image.read_bytes().startswith(b"\xff\xd8"):
            made.append(_annotated(xml, image))
    return _laid_out(work / "pets", made, source / "images")


def _annotated(xml: Path, image: Path) -> Made:
    text = xml.read_text()
    width, height = (int(_stated(text, side)) for side in ("width", "height"))
    boxes: list[BoxOf] = []
    for part in text.split("<object>")[1:]:
        xmin, ymin, xmax, ymax = (int(_stated(part, edge)) for edge in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append((_stated(part, "name"), xmin, ymin, xmax, ymax))
    return Made(image.name, width, height, image.stat().st_size, tuple(boxes))


def _stated(text: str, tag: str) -> str:
    """The content of the first such element, in annotations as regular as the published ones."""
    return text.partition(f"<{tag}>")[2].partition("</")[0]


def _laid_out(folder: Path, made: Sequence[Made], images: Path) -> Benchmarked:
    set_aside(folder, folder.parent)
    dataset = folder / "ml" / "processing" / "input" / "dataset"
    for name in ("images", "annotations"):
        (dataset / name).mkdir(parents=True)
    (folder / "im2rec").mkdir()
    names = sorted({box[0] for picture in made for box in picture.boxes} | set(CLASSES))
    with (folder / "im2rec" / "packed.lst").open("w") as lst:
        for number, picture in enumerate(made):
            os.link(images / picture.name, dataset / "images" / picture.name)
            objects = "".join(OBJECT.format(*box) for box in picture.boxes)
            (dataset / "annotations" / picture.name).with_suffix(".xml").write_text(
                ANNOTATION.format(name=picture.name, width=picture.width, height=picture.height, objects=objects)
            )
            label: list[float] = [2, 5]
            for name, xmin, ymin, xmax, ymax in picture.boxes:
                corners = (xmin / picture.width, ymin / picture.height, xmax / picture.width, ymax / picture.height)
                label += [names.index(name), *corners]
            lst.write("\t".join([str(number), *(f"{value:.7f}" for value in label), picture.name]) + "\n")
    return Benchmarked(
        folder.name,
        folder / "ml",
        folder / "im2rec" / "packed",
        dataset / "images",
        len(made),
        sum(picture.size for picture in made),
        sum(picture.width * picture.height for picture in made),
    )
