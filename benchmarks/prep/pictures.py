"""Photo-like JPEGs for the benchmarks: as many as asked for, the same ones every time, made once.

A picture is a scene of patches (polygons and ellipses, sharp or soft edges) over a graded background. Every patch has a
texture whose spectrum falls with frequency as that of photographs does, of a strength of its own, so that a picture has
busy and calm regions; colour varies more slowly than brightness, and a sensor's noise lies over the whole. The textures
are cut from a few large ones, which keeps the making of 2,000 pictures to minutes.
"""

from __future__ import annotations

import io
import json
import math
import os
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

VERSION = 1  # of the recipe: a cache made by another one is not used
SHAPES = ((4, 3), (4, 3), (3, 2), (3, 2), (1, 1), (3, 4))
CLASSES = ("cat", "dog", "bird", "car", "person", "bottle")
TEXTURE_SIDE = 2048

Floats = NDArray[np.float32]
BoxOf = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Made:
    """One picture of the set: its file's name, size and bytes, and the boxes drawn on it (class, pixel corners)."""

    name: str
    width: int
    height: int
    size: int
    boxes: tuple[BoxOf, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of pictures: the ranges of their longer and of their shorter sides in pixels, and how far enlarged."""

    name: str
    longer: tuple[int, int]
    shorter: tuple[int, int]
    enlarged: int = 1


LARGE = Kind("large", (800, 1600), (520, 1600))  # every one of them larger than 512 pixels on its shorter side
SMALL = Kind("small", (400, 640), (256, 512))  # none of them
HUGE = Kind("huge", (8160, 8160), (6120, 6120), enlarged=6)  # almost the 50 megapixels that prep takes at most


def home(folder: Path, kind: Kind) -> Path:
    """The folder that holds the JPEGs of a kind."""
    return folder / f"{kind.name}-v{VERSION}"


def pictures(folder: Path, kind: Kind, count: int) -> list[Made]:
    """The first `count` pictures of a kind, in `home(folder, kind)`; those that an earlier call has not made are."""
    place = home(folder, kind)
    place.mkdir(parents=True, exist_ok=True)
    lacking = [number for number in range(count) if not (place / f"{number:05d}.json").exists()]
    if lacking:
        processes = len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(processes) as pool:
            jobs = [pool.submit(_make, place, kind, lacking[start::processes]) for start in range(processes)]
            for job in jobs:
                job.result()
    return [_read(place / f"{number:05d}.json") for number in range(count)]


def _read(path: Path) -> Made:
    stated = json.loads(path.read_text())
    boxes = tuple((str(n), int(a), int(b), int(c), int(d)) for n, a, b, c, d in stated.pop("boxes"))
    return Made(**stated, boxes=boxes)


def _make(folder: Path, kind: Kind, numbers: Sequence[int]) -> None:
    for number in numbers:
        picture, boxes, draw = _scene(number, kind)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=draw.randint(85, 95), subsampling="4:2:0")
        path = folder / f"{number:05d}.jpg"
        path.write_bytes(buffer.getvalue())
        made = {"name": path.name, "width": picture.width, "height": picture.height, "size": path.stat().st_size}
        path.with_suffix(".json").write_text(json.dumps(made | {"boxes": boxes}))


def _scene(number: int, kind: Kind) -> tuple[Image.Image, list[BoxOf], random.Random]:
    draw = random.Random(f"{kind.name}:{number}")  # noqa: S311 - the same picture every time, no secret
    width, height = (side // kind.enlarged for side in _size(draw, kind))
    canvas = _graded(draw, width, height) + _texture(draw, width, height, draw.uniform(8, 24))
    boxes: list[BoxOf] = []
    for _ in range(draw.randint(5, 14)):
        wide, high = draw.randint(width // 8, width // 2), draw.randint(height // 8, height // 2)
        left, top = draw.randint(0, width - wide), draw.randint(0, height - high)
        place = canvas[top : top + high, left : left + wide]
        shade = _shade(draw, wide, high) * draw.uniform(10, 50)
        filled = _colour(draw) + shade[:, :, None] + _texture(draw, wide, high, draw.choice((4, 10, 16, 26, 38)))
        place += (filled - place) * _mask(draw, wide, high)[:, :, None]
        boxes.append((draw.choice(CLASSES), left, top, left + wide, top + high))
    noise = np.random.default_rng(number).standard_normal((height, width), np.float32)
    canvas += noise[:, :, None] * np.float32(draw.uniform(1.0, 3.0))
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    shown = boxes[-draw.randint(1, 5) :]
    if kind.enlarged > 1:
        picture = picture.resize((width * kind.enlarged, height * kind.enlarged), Image.Resampling.BICUBIC)
        far = kind.enlarged
        shown = [(name, a * far, b * far, c * far, d * far) for name, a, b, c, d in shown]
    return picture, shown, draw


def _size(draw: random.Random, kind: Kind) -> tuple[int, int]:
    while True:
        across, down = draw.choice(SHAPES)
        scale = draw.randint(*kind.longer) / max(across, down)
        width, height = round(across * scale), round(down * scale)
        if kind.shorter[0] <= min(width, height) <= kind.shorter[1]:
            return width, height


def _colour(draw: random.Random) -> Floats:
    """A colour near grey, as most of the world is."""
    bright = draw.uniform(40, 210)
    return np.array([bright + draw.gauss(0, 22) for _ in range(3)], np.float32)


def _graded(draw: random.Random, width: int, height: int) -> Floats:
    """A background between two colours, along a line of any direction."""
    start, end = _colour(draw), _colour(draw)
    return start + (end - start) * _shade(draw, width, height)[:, :, None]


def _shade(draw: random.Random, width: int, height: int) -> Floats:
    x, y = np.linspace(-0.5, 0.5, width, dtype=np.float32), np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    return np.asarray(x * draw.uniform(-1, 1) + y * draw.uniform(-1, 1), np.float32)


def _mask(draw: random.Random, wide: int, high: int) -> Floats:
    """How far a patch covers each pixel of its box: an ellipse or a polygon with edges more or less in focus."""
    mask, soft = Image.new("L", (wide, high)), draw.choice((0.6, 0.6, 1.0, 3.0, 8.0))
    pen, reach = ImageDraw.Draw(mask), 0.5 - 2 * soft / min(wide, high)
    if draw.random() < 0.5:
        pen.ellipse((wide * (0.5 - reach), high * (0.5 - reach), wide * (0.5 + reach), high * (0.5 + reach)), fill=255)
    else:
        turns = sorted(draw.uniform(0, 2 * math.pi) for _ in range(9))
        far = [draw.uniform(0.6, 1.0) * reach for _ in turns]
        pen.polygon(
            [
                (wide * (0.5 + away * math.cos(turn)), high * (0.5 + away * math.sin(turn)))
                for turn, away in zip(turns, far, strict=True)
            ],
            fill=255,
        )
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(soft)), np.float32) / np.float32(255)


def _texture(draw: random.Random, width: int, height: int, strength: float) -> Floats:
    """A texture as an addition to red, green and blue: brightness of the given deviation, colour of a third of it."""
    bright, first, second = (
        _cut(draw, steep, width, height) * strength * share for steep, share in ((False, 1.0), (True, 0.4), (True, 0.4))
    )
    return np.stack((bright + first, bright - (first + second) / 2, bright + second), axis=2)


def _cut(draw: random.Random, steep: bool, width: int, height: int) -> Floats:
    whole = _textures(steep)[draw.randrange(4)]
    left, top = draw.randrange(TEXTURE_SIDE - width), draw.randrange(TEXTURE_SIDE - height)
    piece = whole[top : top + height, left : left + width]
    return piece[:: draw.choice((1, -1)), :: draw.choice((1, -1))]


@cache
def _textures(steep: bool) -> list[Floats]:
    """Four large random textures of mean 0 and deviation 1; amplitude falls as 1/f^1.3, or 1/f^2 for colour."""
    falls = 2.0 if steep else 1.3
    made = []
    for seed in range(4):
        noise = np.random.default_rng(1000 * steep + seed).standard_normal((TEXTURE_SIDE, TEXTURE_SIDE))
        across, down = np.fft.rfftfreq(TEXTURE_SIDE), np.fft.fftfreq(TEXTURE_SIDE)[:, None]
        frequency = np.maximum(np.hypot(across, down), 2 / TEXTURE_SIDE)
        shaped = np.fft.irfft2(np.fft.rfft2(noise) / frequency**falls, s=noise.shape).astype(np.float32)
        made.append((shaped - shaped.mean()) / shaped.std())
    return made
