"""Pictures with the detections drawn on them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000", "#000075")


def colour_of(label: str) -> str:
    """Return the label's colour, the same in every picture."""
    return _COLOURS[hashlib.sha256(label.encode()).digest()[0] % len(_COLOURS)]


def draw_detections(source: Path, detections: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Write `source`, upright, with its detections as a JPEG; boxes are fractions of the upright picture."""
    with Image.open(source) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    short = min(picture.size)
    width = max(2, short // 120)
    font = ImageFont.load_default(size=max(10, short // 22))
    draw = ImageDraw.Draw(picture)
    for found in sorted(detections, key=lambda one: one["score"]):  # the surest is drawn last, on top
        box, colour = found["box"], colour_of(found["label"])
        left, top = box["xmin"] * picture.width, box["ymin"] * picture.height
        right, bottom = box["xmax"] * picture.width, box["ymax"] * picture.height
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)
        text = f"{found['label']} {found['score']:.2f}"
        extent = draw.textbbox((0, 0), text, font=font)
        at = (left, max(0.0, top - extent[3] - 2))
        draw.rectangle((at[0], at[1], at[0] + extent[2] + 4, at[1] + extent[3] + 2), fill=colour)
        draw.text((at[0] + 2, at[1]), text, fill="white", font=font)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, "JPEG", quality=92)
