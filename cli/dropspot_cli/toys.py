"""The three toys of the generated data set: a striped ball, a checkered cube and a spotted star."""

import math
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

CLASSES = ("ball", "cube", "star")

Colour = tuple[int, int, int]
Floats = npt.NDArray[np.float64]
# inside the outline, the dark part of the pattern, and the shade, each for every pixel
Texture = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Floats]

PALETTE: tuple[Colour, ...] = (
    (214, 48, 49),
    (9, 132, 227),
    (253, 203, 110),
    (0, 148, 120),
    (108, 92, 231),
    (225, 112, 85),
    (45, 52, 54),
    (240, 240, 235),
)
_OVERSAMPLING = 2  # toys are drawn this much larger and scaled down: smooth edges


def draw_toy(rng: random.Random, label: str, side: int) -> Image.Image:
    """Return the toy, turned and cut to its outline; `side` is the length of its longer side in pixels."""
    grid = side * _OVERSAMPLING
    axis: Floats = (np.arange(grid) + 0.5) / grid * 2 - 1
    x, y = np.meshgrid(axis, axis)
    turn = rng.uniform(0, 2 * math.pi) if label != "cube" else rng.uniform(-0.35, 0.35)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    inside, pattern, shade = _TOYS[label](rng, u, v)
    shade = shade * (1 - 0.22 * (x + y))  # the light falls from the top left
    dark, bright = rng.sample(PALETTE, 2)
    while math.dist(dark, bright) < 170:  # a texture that nobody can see would be no texture
        dark, bright = rng.sample(PALETTE, 2)
    colour = np.where(pattern[..., None], np.array(dark, float), np.array(bright, float)) * shade[..., None]
    pixels = np.dstack([colour.clip(0, 255), inside * 255.0]).astype(np.uint8)
    sprite = Image.fromarray(pixels, "RGBA")
    outline = sprite.getchannel("A").getbbox()
    if outline is not None:
        sprite = sprite.crop(outline)
    factor = side / max(sprite.size)
    return sprite.resize((round(sprite.width * factor), round(sprite.height * factor)), Image.Resampling.LANCZOS)


def _ball(rng: random.Random, u: Floats, v: Floats) -> Texture:
    radius = np.hypot(u, v)
    depth = np.sqrt(np.clip(1 - radius**2, 0, 1))
    stripes = np.sin(np.arcsin(np.clip(u, -1, 1)) * rng.uniform(6, 9) + rng.uniform(0, 6)) > 0
    return radius < 0.98, stripes, 0.55 + 0.55 * depth


def _cube(rng: random.Random, u: Floats, v: Floats) -> Texture:
    """Three faces of a cube in parallel projection; each a parallelogram with its own coordinates."""
    cells = rng.choice((3, 4))
    rise = rng.uniform(0.35, 0.5)
    middle = rng.uniform(-0.25, 0.25)
    inside = np.zeros(u.shape, bool)
    pattern = np.zeros(u.shape, bool)
    shade = np.ones(u.shape)
    left, right, front = np.array((-0.85 - middle, -rise)), np.array((0.85 - middle, -rise)), np.array((0.0, 0.95))
    corner = np.array((middle, -0.95 + 2 * rise))
    faces = ((corner, left, right, 1.12), (corner, left, front, 0.9), (corner, right, front, 0.68))
    for origin, one, two, light in faces:
        determinant = one[0] * two[1] - one[1] * two[0]
        a = ((u - origin[0]) * two[1] - (v - origin[1]) * two[0]) / determinant
        b = ((v - origin[1]) * one[0] - (u - origin[0]) * one[1]) / determinant
        face = (a >= 0) & (a < 1) & (b >= 0) & (b < 1)
        checks = (np.floor(a * cells) + np.floor(b * cells)) % 2 == 0
        inside |= face
        pattern = np.where(face, checks, pattern)
        shade = np.where(face, light, shade)
    return inside, pattern, shade


def _star(rng: random.Random, u: Floats, v: Floats) -> Texture:
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    points = 5
    wedge = math.pi / points
    inner = rng.uniform(0.45, 0.55)
    # the edge of one half-wedge is the straight line from the tip (radius 1) to the notch (radius `inner`)
    folded = np.abs((angle + wedge) % (2 * wedge) - wedge)
    edge = inner * math.sin(wedge) / (inner * np.sin(wedge - folded) + np.sin(folded))
    pitch = rng.uniform(0.3, 0.38)
    row = np.floor(v / pitch)
    across = (u / pitch + 0.5 * (row % 2)) % 1 - 0.5
    down = (v / pitch) % 1 - 0.5
    return radius < edge, np.hypot(across, down) < 0.3, 0.95 + 0.1 * (1 - radius)


_TOYS: dict[str, Callable[[random.Random, Floats, Floats], Texture]] = {"ball": _ball, "cube": _cube, "star": _star}


def jittered(rng: random.Random, colour: tuple[float, float, float], by: int) -> Colour:
    """Return the colour with each of its parts moved by up to `by`."""
    red, green, blue = (min(max(round(part + rng.uniform(-by, by)), 0), 255) for part in colour)
    return red, green, blue
