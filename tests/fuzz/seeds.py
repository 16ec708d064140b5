"""Small valid data sets in every layout that preparation reads: what the cases are mutated from."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Mapping
from functools import cache

from PIL import Image

Files = dict[str, bytes]
SIZE = (28, 20)
NAMES = ("cat", "dog")
DATASET_URI = "s3://bucket/datasets/mini/"
# A picture's suffix and how Pillow writes it; nine pictures, so that every side of a split gets some
KINDS = (
    ("jpg", "JPEG", {}),
    ("png", "PNG", {}),
    ("jpeg", "JPEG", {"progressive": True}),
    ("gif", "GIF", {}),
    ("webp", "WEBP", {}),
    ("tif", "TIFF", {"compression": "tiff_lzw"}),
    ("bmp", "BMP", {}),
    ("jpg", "MPO", {"save_all": True}),
    ("jpg", "JPEG", {"orientation": 6}),
    ("png", "PNG", {"mode": "P"}),
    ("jpg", "JPEG", {"mode": "CMYK"}),
    ("png", "PNG", {"mode": "LA"}),
    ("webp", "WEBP", {"lossless": True, "mode": "RGBA"}),
    ("tiff", "TIFF", {"mode": "I;16"}),
)


@cache
def picture(number: int, kind: str = "JPEG", mode: str = "RGB", orientation: int = 1, **options: object) -> bytes:
    """An encoded picture of blocks that no other number has."""
    draw = random.Random(number)
    small = Image.new("RGB", (7, 5))
    small.putdata([(draw.randrange(256), draw.randrange(256), draw.randrange(256)) for _ in range(35)])
    whole = small.resize(SIZE, Image.Resampling.NEAREST)
    whole = whole.convert("L").convert("I").convert("I;16") if mode == "I;16" else whole.convert(mode)
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    if kind == "MPO":
        options["append_images"] = [small]
    buffer = io.BytesIO()
    whole.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures(first: int, folder: str = "images") -> Files:
    """One picture of each kind, under paths that end in its own number."""
    return {
        f"{folder}/p{number:02d}.{suffix}": picture(first + number, kind, **options)  # type: ignore[arg-type]
        for number, (suffix, kind, options) in enumerate(KINDS)
    }


def boxes(number: int) -> list[tuple[int, int, int, int, int]]:
    """Class and corners in pixels; they fit the picture whichever way it is turned."""
    return [(number % 2, 2, 3, 15, 14), ((number + 1) % 2, 1 + number % 5, 1, 18, 19)][: 1 + number % 3 // 2]


def voc() -> Files:
    files = pictures(100)
    for number, path in enumerate(list(files)):
        objects = "".join(
            f"<object><name>{NAMES[c]}</name><pose>Left</pose><truncated>{number % 2}</truncated>"
            f"<difficult>{int(number == 3)}</difficult><bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin>"
            f"<xmax>{x}</xmax><ymax>{y}</ymax></bndbox></object>"
            for c, a, b, x, y in boxes(number)
        )
        name = path.rpartition("/")[2]
        size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>"
        text = f"<annotation><folder>i</folder><filename>{name}</filename>{size}{objects}</annotation>"
        files[f"annotations/xmls/{name.rpartition('.')[0]}.xml"] = text.encode()
    return files


def voc_with_lists() -> Files:
    """VOC as the challenges publish it, divided by lists."""
    files = {
        path.replace("images/", "JPEGImages/").replace("annotations/xmls/", "Annotations/"): data
        for path, data in voc().items()
    }
    stems = [f"p{number:02d}" for number in range(len(KINDS))]
    for name, part in (("train", stems[:8]), ("val", stems[8:11]), ("test", stems[11:])):
        files[f"ImageSets/Main/{name}.txt"] = "\n".join(part).encode() + b"\n"
    return files


def coco() -> Files:
    """One file per part, whose names say which part it is."""
    files = pictures(200)
    paths = list(files)
    for part, chosen in (("train", range(9)), ("val", range(9, len(paths)))):
        images = [
            {"id": n, "file_name": paths[n].rpartition("/")[2], "width": SIZE[0], "height": SIZE[1]} for n in chosen
        ]
        annotations = [
            {"id": 10 * n + k, "image_id": n, "category_id": c + 1, "bbox": [a, b, x - a, y - b], "iscrowd": 0,
             "area": (x - a) * (y - b), "segmentation": [[a, b, x, b, x, y, a, y]]}
            for n in chosen for k, (c, a, b, x, y) in enumerate(boxes(n))
        ]  # fmt: skip
        categories = [{"id": c + 1, "name": name, "supercategory": "pet"} for c, name in enumerate(NAMES)]
        document = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
        files[f"annotations/instances_{part}2017.json"] = json.dumps(document).encode()
    return files


def yolo() -> Files:
    """Darknet's text files with the data.yaml of today's trainers."""
    files, (wide, high) = {}, SIZE
    for number, (name, data) in enumerate(pictures(300, "images").items()):
        path = f"{'train' if number < 9 else 'valid'}/{name}"
        files[path] = data
        lines = [
            f"{c} {(a + x) / 2 / wide:.6f} {(b + y) / 2 / high:.6f} {(x - a) / wide:.6f} {(y - b) / high:.6f}"
            for c, a, b, x, y in boxes(number)
        ]
        files[path.replace("/images/", "/labels/").rpartition(".")[0] + ".txt"] = "\n".join(lines).encode()
    files["data.yaml"] = b"train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n"
    return files


def yolo_with_names() -> Files:
    """Labels beside their pictures and a list of the classes."""
    files = {
        path.replace("train/", "obj/").replace("valid/", "obj/").replace("images/", "").replace("labels/", ""): data
        for path, data in yolo().items()
        if path != "data.yaml"
    }
    return files | {"obj/classes.txt": b"cat\ndog\n"}


def sagemaker_json() -> Files:
    files = pictures(400)
    for number, path in enumerate(list(files)):
        name = path.rpartition("/")[2]
        document = {
            "file": name,
            "image_size": [{"width": SIZE[0], "height": SIZE[1], "depth": 3}],
            "annotations": [
                {"class_id": c, "left": a, "top": b, "width": x - a, "height": y - b} for c, a, b, x, y in boxes(number)
            ],
            "categories": [{"class_id": c, "name": name} for c, name in enumerate(NAMES)],
        }
        files[f"annotations/{name.rpartition('.')[0]}.json"] = json.dumps(document).encode()
    return files


def manifest() -> Files:
    files = pictures(500)
    lines = []
    for number, path in enumerate(list(files)):
        stated = [
            {"class_id": c, "left": a, "top": b, "width": x - a, "height": y - b} for c, a, b, x, y in boxes(number)
        ]
        size = [{"width": SIZE[0], "height": SIZE[1], "depth": 3}]
        line = {
            "source-ref": DATASET_URI + path,
            "boxes": {"annotations": stated, "image_size": size},
            "boxes-metadata": {
                "class-map": {str(c): name for c, name in enumerate(NAMES)},
                "type": "groundtruth/object-detection",
                "human-annotated": "yes",
                "objects": [{"confidence": 0.9} for _ in stated],
            },
        }
        lines.append(json.dumps(line))
    return files | {"output.manifest": "\n".join(lines).encode()}


def mixed() -> Files:
    """Two layouts at once, with things that nobody reads."""
    first = {f"a/{path}": data for path, data in voc().items()}
    second = {f"b/{path}": data for path, data in coco().items()}
    return first | second | {"README.md": b"# Pets\n", "a/.DS_Store": b"\0\0\0\1Bud1", "b/notes.csv": b"1,2\n"}


SEEDS: Mapping[str, Callable[[], Files]] = {
    "voc": voc,
    "voc_with_lists": voc_with_lists,
    "coco": coco,
    "yolo": yolo,
    "yolo_with_names": yolo_with_names,
    "sagemaker_json": sagemaker_json,
    "manifest": manifest,
    "mixed": mixed,
}


@cache
def _made(name: str) -> Files:
    return SEEDS[name]()


def dataset(name: str) -> Files:
    """A copy of one of SEEDS."""
    return dict(_made(name))
