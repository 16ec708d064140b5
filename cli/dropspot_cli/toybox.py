"""Toybox: a generated detection data set for first runs and tests.

Three textured objects lie about on cluttered backgrounds: a striped ball, a checkered cube and a spotted star. Colours
are shared between the classes and plain look-alikes are strewn among them, so that only shape and texture together tell
them apart. Size, turn, light and occlusion vary. The files have the layout of the Oxford-IIIT Pet data set:
`images/*.jpg` and `annotations/xmls/*.xml` (Pascal VOC).

The same seed gives the same bytes on one version of Pillow: every random choice comes from Python's own generator,
whose stream is fixed.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dropspot_cli.toys import CLASSES, PALETTE, Floats, draw_toy, jittered

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Toy:
    """One object in a picture; the box is in whole pixels, right and bottom exclusive, inside the picture."""

    label: str
    box: tuple[int, int, int, int]
    truncated: bool
    occluded: bool


def write_toybox(folder: Path, images: int = 160, size: Size = (320, 240), seed: int = 0) -> list[Path]:
    """Write a data set of `images` pictures with their annotations below `folder` and return the pictures' paths."""
    annotations = folder / "annotations" / "xmls"
    annotations.mkdir(parents=True, exist_ok=True)
    paths = []
    for path, picture, toys in _pictures(folder / "images", "toybox", images, size, seed):
        _save(picture, path)
        (annotations / f"{path.stem}.xml").write_bytes(_voc(path.name, picture.size, toys))
        paths.append(path)
    return paths


def write_toybox_pictures(folder: Path, images: int = 8, size: Size = (320, 240), seed: int = 1) -> list[Path]:
    """Write pictures alone, to look at with a trained model; no data set of `write_toybox` holds them."""
    paths = []
    for path, picture, _ in _pictures(folder, "picture", images, size, seed):
        _save(picture, path)
        paths.append(path)
    return paths


def _pictures(
    folder: Path, stem: str, images: int, size: Size, seed: int
) -> Iterator[tuple[Path, Image.Image, list[Toy]]]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        rng = random.Random(f"toybox/{stem}/{seed}/{number}")
        picture, toys = _scene(rng, size, first=CLASSES[number % len(CLASSES)])
        yield folder / f"{stem}_{number:04d}.jpg", picture, toys


def _scene(rng: random.Random, size: Size, first: str) -> tuple[Image.Image, list[Toy]]:
    """Return a picture of one to four toys, the first of them of class `first`, so that the classes come out even."""
    picture = _background(rng, size)
    for _ in range(rng.randint(3, 8)):
        _distractor(rng, picture)
    labels = [first, *rng.choices(CLASSES, k=rng.choice((0, 0, 1, 1, 2, 3)))]
    toys: list[Toy] = []
    for label in labels:
        toy = _place(rng, picture, label, [other.box for other in toys])
        if toy is not None:
            toys.append(toy)
    return _light(rng, picture), toys


def _place(rng: random.Random, picture: Image.Image, label: str, taken: list[tuple[int, int, int, int]]) -> Toy | None:
    """Put a toy where it covers little of the others; None where there is no such room."""
    width, height = picture.size
    for _ in range(30):
        side = round(min(width, height) * rng.uniform(0.2, 0.52))
        sprite = draw_toy(rng, label, side)
        margin = side // 8 if rng.random() < 0.2 else 0  # now and then the picture's edge cuts a toy
        left = rng.randint(-margin, max(-margin, width - sprite.width + margin))
        top = rng.randint(-margin, max(-margin, height - sprite.height + margin))
        box = (max(left, 0), max(top, 0), min(left + sprite.width, width), min(top + sprite.height, height))
        if any(_shared(box, other) > 0.12 for other in taken):
            continue
        shadow = Image.new("L", sprite.size, 0)
        shadow.paste(110, mask=sprite.getchannel("A"))
        offset = max(2, side // 20)
        picture.paste((20, 20, 25), (left + offset, top + offset), shadow.filter(ImageFilter.GaussianBlur(offset)))
        picture.paste(sprite, (left, top), sprite)
        occluded = rng.random() < 0.4
        if occluded:
            _occlude(rng, picture, box)
        cut = (left, top, left + sprite.width, top + sprite.height) != box
        return Toy(label, box, truncated=cut, occluded=occluded)
    return None


def _shared(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Return the common area as a fraction of the smaller box."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(across, 0) * max(down, 0) / smaller


def _occlude(rng: random.Random, picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Lay a stick over a part of the box, an eighth to a quarter of it."""
    width, height = box[2] - box[0], box[3] - box[1]
    along = rng.uniform(0.2, 0.8)
    thickness = max(3, round(min(width, height) * rng.uniform(0.12, 0.22)))
    slant = rng.uniform(-0.3, 0.3)
    if rng.random() < 0.5:
        x = box[0] + width * along
        line: tuple[float, float, float, float] = (x - slant * width, box[1] - 8, x + slant * width, box[3] + 8)
    else:
        y = box[1] + height * along
        line = (box[0] - 8, y - slant * height, box[2] + 8, y + slant * height)
    ImageDraw.Draw(picture).line(line, fill=jittered(rng, (110, 85, 60), 30), width=thickness)


# ---- the surroundings
# -----------------------------------------------------------------------------------------------------


def _background(rng: random.Random, size: Size) -> Image.Image:
    """Return a mottled surface with scratches on it."""
    coarse = (rng.randint(3, 7), rng.randint(3, 6))
    base = np.array(jittered(rng, (150, 140, 125), 60), float)
    mottle = _noise(rng, (coarse[1], coarse[0], 3)) * 70 - 35
    small = Image.fromarray((base + mottle).clip(0, 255).astype(np.uint8), "RGB")
    picture = small.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(4, 14)):
        start, end = _point(rng, size), _point(rng, size)
        draw.line((*start, *end), fill=jittered(rng, (base[0], base[1], base[2]), 45), width=rng.randint(1, 4))
    return picture


def _distractor(rng: random.Random, picture: Image.Image) -> None:
    """Draw something that is no toy: a plain disk, star or polygon, a ring, ruled paper or a speckled patch."""
    draw = ImageDraw.Draw(picture)
    x, y = _point(rng, picture.size)
    radius = round(min(picture.size) * rng.uniform(0.05, 0.2))
    colour = jittered(rng, rng.choice(PALETTE), 25)
    kind = rng.choice(("disk", "star", "ring", "polygon", "ruled", "speckled"))
    if kind == "disk":
        draw.ellipse((x - radius, y - round(radius * rng.uniform(0.6, 1)), x + radius, y + radius), fill=colour)
    elif kind == "star":
        turn = rng.uniform(0, 2 * math.pi)
        tips = [(turn + n * math.pi / 5, radius * (0.5 if n % 2 else 1)) for n in range(10)]
        draw.polygon([(x + far * math.cos(angle), y + far * math.sin(angle)) for angle, far in tips], fill=colour)
    elif kind == "ring":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=max(2, radius // 4))
    elif kind == "polygon":
        angles = sorted(rng.uniform(0, 2 * math.pi) for _ in range(rng.randint(3, 6)))
        draw.polygon([(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles], fill=colour)
    elif kind == "ruled":
        draw.rectangle((x - radius, y - radius, x + radius, y + radius), fill=jittered(rng, (225, 220, 205), 20))
        for offset in range(-radius + 3, radius, 6):
            draw.line((x - radius + 2, y + offset, x + radius - 2, y + offset), fill=colour, width=1)
    else:
        for _ in range(radius * 2):
            at = (x + rng.randint(-radius, radius), y + rng.randint(-radius, radius))
            draw.ellipse((at[0] - 1, at[1] - 1, at[0] + 1, at[1] + 1), fill=colour)


def _light(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Return the picture under a lamp from one side, a little grainy and sometimes soft."""
    width, height = picture.size
    angle = rng.uniform(0, 2 * math.pi)
    down, across = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    lamp = rng.uniform(0.7, 1.15) + rng.uniform(0, 0.22) * (across * math.cos(angle) + down * math.sin(angle))
    tint = np.array([rng.uniform(0.92, 1.08) for _ in range(3)])
    grain = (_noise(rng, (height, width, 1)) - 0.5) * rng.uniform(4, 22)
    pixels = np.asarray(picture, float) * lamp[..., None] * tint + grain
    lit = Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGB")
    return lit.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 0.9))) if rng.random() < 0.2 else lit


def _noise(rng: random.Random, shape: tuple[int, ...]) -> Floats:
    """Return uniform noise in [0, 1] from the picture's own generator."""
    return np.frombuffer(rng.randbytes(math.prod(shape)), np.uint8).reshape(shape) / 255.0


def _point(rng: random.Random, size: Size) -> tuple[int, int]:
    return rng.randrange(size[0]), rng.randrange(size[1])


# ---- the files
# ------------------------------------------------------------------------------------------------------------


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "JPEG", quality=88)


def _voc(name: str, size: Size, toys: list[Toy]) -> bytes:
    """Return a Pascal VOC annotation; VOC counts pixels from 1 and its right and bottom are inclusive."""
    root = ElementTree.Element("annotation")
    _add(root, "folder", "images")
    _add(root, "filename", name)
    source = _add(root, "source")
    _add(source, "database", "toybox")
    extent = _add(root, "size")
    for tag, value in (("width", size[0]), ("height", size[1]), ("depth", 3)):
        _add(extent, tag, value)
    _add(root, "segmented", 0)
    for toy in toys:
        entry = _add(root, "object")
        _add(entry, "name", toy.label)
        _add(entry, "pose", "Unspecified")
        _add(entry, "truncated", int(toy.truncated))
        _add(entry, "occluded", int(toy.occluded))
        _add(entry, "difficult", 0)
        box = _add(entry, "bndbox")
        for tag, value in zip(
            ("xmin", "ymin", "xmax", "ymax"), (toy.box[0] + 1, toy.box[1] + 1, toy.box[2], toy.box[3]), strict=True
        ):
            _add(box, tag, value)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8")
    return document


def _add(parent: ElementTree.Element, tag: str, value: object | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag)
    if value is not None:
        child.text = str(value)
    return child
