"""The held-out pictures, as files to send to a detector, and the truth to score its answers against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from prep.model import LabelledPicture
from prep.writers import Named, write_picture


def write_held_out(pictures: Named, class_ids: Mapping[str, int], folder: Path) -> None:
    """Write `images/<name>.jpg` and truth.json (corners as fractions; width and height of the written picture).

    One line of truth.json has one picture.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        write_picture(picture, images / name)
    lines = [f" {json.dumps(name)}: {json.dumps(_truth(pictures[name], class_ids))}" for name in sorted(pictures)]
    (folder / "truth.json").write_text('{"images": {\n' + ",\n".join(lines) + "\n}}\n", "utf-8")


def _truth(picture: LabelledPicture, class_ids: Mapping[str, int]) -> dict[str, object]:
    return {
        "width": picture.width,
        "height": picture.height,
        "boxes": [
            {
                "class_id": class_ids[box.name],
                "xmin": box.xmin,
                "ymin": box.ymin,
                "xmax": box.xmax,
                "ymax": box.ymax,
                "difficult": box.difficult,
            }
            for box in picture.boxes
        ],
    }
