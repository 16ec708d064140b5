"""A sheet of small pictures with their boxes drawn, to see at a glance whether the labels fit."""

from __future__ import annotations

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dropspot.preparation_plan import SPLITS
from prep.model import Box, LabelledPicture
from prep.page.words import counted, listed, shown

MOST_PICTURES = 24
MOST_CLASSES = 200  # that are taken turns with; with more, the most frequent ones
MOST_BOXES = 60  # drawn on one picture
MOST_LABELS = 4  # boxes that are named in the picture; with more, its caption has to do
LONG_SIDE = 240
MOST_LETTERS = 16  # of a label
LETTER = 9  # about the width of a label's letter
MOST_BYTES = 12_000  # of one thumbnail
COLOURS = 8  # told apart by the page's style sheet

Shared = Mapping[str, Sequence[LabelledPicture]]


@dataclass(frozen=True, slots=True)
class Outline:
    """The outlines of a picture's boxes of one class, as the data of an SVG path."""

    colour: int
    path: str


@dataclass(frozen=True, slots=True)
class Label:
    """A class's name in the picture; it begins or ends (`anchor`) at x."""

    colour: int
    name: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A class in the picture, its colour and its number of boxes."""

    colour: int
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture of the sheet. `data` is a data URI, "" where the picture could not be made small."""

    name: str
    side: str
    data: str
    width: int
    height: int
    outlines: tuple[Outline, ...]
    labels: tuple[Label, ...]
    legend: tuple[LegendEntry, ...]
    undrawn: int
    alt: str


def contact_sheet(shared: Shared, class_ids: Mapping[str, int]) -> list[Thumbnail]:
    """Thumbnails of the chosen pictures, part by part."""
    chosen = {(side, id(picture)): picture for side, picture in chosen_pictures(shared)}
    ordered = sorted(chosen.items(), key=lambda item: (SPLITS.index(item[0][0]), item[1].pixel_digest))
    return [thumbnail(picture, side, class_ids) for (side, _), picture in ordered]


def chosen_pictures(shared: Shared) -> list[tuple[str, LabelledPicture]]:
    """Up to MOST_PICTURES pictures with their parts: the parts and, within them, the classes take turns.

    Which picture of a class comes next is decided by its pixels alone, so names and order make no difference.
    """
    frequency = Counter(name for pictures in shared.values() for p in pictures for name in {b.name for b in p.boxes})
    names = sorted(frequency, key=lambda name: (-frequency[name], name))[:MOST_CLASSES]
    turns = {side: _turns(shared[side], names) for side in SPLITS}
    chosen: list[tuple[str, LabelledPicture]] = []
    while turns and len(chosen) < MOST_PICTURES:
        for side in list(turns):
            picture = next(turns[side], None)
            if picture is None:
                del turns[side]
            elif len(chosen) < MOST_PICTURES:
                chosen.append((side, picture))
    return chosen


def _turns(pictures: Sequence[LabelledPicture], names: Sequence[str]) -> Iterator[LabelledPicture]:
    """The pictures of one part, each once, of the class that has been shown least so far."""
    showing = defaultdict[str, list[LabelledPicture]](list)
    for picture in sorted(pictures, key=lambda picture: (picture.pixel_digest, picture.payload_digest, picture.boxes)):
        for name in {box.name for box in picture.boxes}:
            if len(showing[name]) < MOST_PICTURES:
                showing[name].append(picture)
    waiting = [name for name in names if name in showing]
    shown_classes, used = Counter[str](), set[int]()
    while waiting:
        name = min(waiting, key=lambda name: shown_classes[name])  # the first of those that are equal
        unseen = next((picture for picture in showing[name] if id(picture) not in used), None)
        if unseen is None:
            waiting.remove(name)
            continue
        used.add(id(unseen))
        shown_classes.update({box.name for box in unseen.boxes})
        yield unseen


def thumbnail(picture: LabelledPicture, side: str, class_ids: Mapping[str, int]) -> Thumbnail:
    """One picture made small, with its boxes scaled to it."""
    scale = LONG_SIDE / max(picture.width, picture.height)
    width, height = (max(1, round(edge * scale)) for edge in (picture.width, picture.height))
    counts = Counter(box.name for box in picture.boxes)
    legend = tuple(
        LegendEntry(class_ids[name] % COLOURS, shown(name, 40), count)
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], class_ids[item[0]]))
    )
    drawn = picture.boxes[:MOST_BOXES]
    named = drawn if len(drawn) <= MOST_LABELS else ()
    return Thumbnail(
        name=shown(picture.source.name, 36),
        side=side,
        data=_data_uri(picture.payload, (width, height)),
        width=width,
        height=height,
        outlines=tuple(_outlines(drawn, class_ids, width, height)),
        labels=tuple(_label(box, class_ids[box.name] % COLOURS, width, height) for box in named),
        legend=legend[:4],
        undrawn=len(legend) - 4,
        alt=f"{side} picture with " + listed([counted(e.count, "box", "boxes") + f" of {e.name}" for e in legend[:4]]),
    )


def _outlines(boxes: Sequence[Box], class_ids: Mapping[str, int], width: int, height: int) -> Iterator[Outline]:
    paths = defaultdict[int, list[str]](list)
    for box in boxes:
        x, y = box.xmin * width, box.ymin * height
        across, down = (box.xmax - box.xmin) * width, (box.ymax - box.ymin) * height
        paths[class_ids[box.name] % COLOURS].append(f"M{x:.1f} {y:.1f}h{across:.1f}v{down:.1f}h{-across:.1f}z")
    for colour, parts in sorted(paths.items()):
        yield Outline(colour, "".join(parts))


def _label(box: Box, colour: int, width: int, height: int) -> Label:
    """The name above its box, or inside where there is no room; it is kept from running over the right edge."""
    name, top = shown(box.name), box.ymin * height
    name = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
    left, right = box.xmin * width + 2, box.xmax * width - 2
    fits = left + LETTER * len(name) <= width
    x = left if fits else max(right, LETTER * len(name))
    return Label(colour, name, min(x, width - 2), top - 4 if top >= 14 else top + 12, "start" if fits else "end")


def _data_uri(payload: Path, size: tuple[int, int]) -> str:
    """The picture as a small JPEG, more coarsely where it would take more than MOST_BYTES."""
    try:
        with Image.open(payload) as opened:
            opened.draft("RGB", (2 * size[0], 2 * size[1]))
            small = opened.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    except OSError:  # what one decoder accepts another may not; the boxes and the caption are shown without it
        return ""
    encoded = b""
    for quality in (72, 55, 35, 15):
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality, optimize=True)
        encoded = buffer.getvalue()
        if len(encoded) <= MOST_BYTES:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(encoded).decode('ascii')}"
