"""The held-out pictures, as files to send to a detector, and the truth to score its answers against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prep.writers import Named, write_json, write_picture


def write_held_out(pictures: Named, class_ids: Mapping[str, int], folder: Path) -> None:
    """Write `images/<name>.jpg` and truth.json (corners as fractions; width and height of the written picture)."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    truth = {}
    for name, picture in pictures.items():
        write_picture(picture, images / name)
        truth[name] = {
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
    write_json(folder / "truth.json", {"images": dict(sorted(truth.items()))})
