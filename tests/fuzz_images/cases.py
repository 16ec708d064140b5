"""Case number -> an object below images/: a picture of any kind, spoilt mostly."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import cache

from fuzz.mutations import mutate
from fuzz.seeds import KINDS, picture
from PIL import Image

_SIDE = 1400  # of the larger pictures, whose payload is above the limit that the worker sets
_LARGER = (
    ("JPEG", {"quality": 95}),
    ("PNG", {}),
    ("WEBP", {}),
    ("AVIF", {}),
    ("GIF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
)
_FRAMES = (("GIF", {}), ("WEBP", {}), ("PNG", {}), ("AVIF", {}))


@dataclass(frozen=True, slots=True)
class Case:
    """One object; `history` says what it was and what was done to it."""

    number: int
    body: bytes
    history: str


@cache
def _seeds() -> tuple[tuple[str, bytes], ...]:
    """Valid pictures with their names: those of the other fuzzers, larger ones, and animations."""
    small = [
        (f"{kind} {options}", picture(number, kind, **options))  # type: ignore[arg-type]
        for number, (_, kind, options) in enumerate(KINDS)
    ]
    return (*small, *_larger(), *_animations())


def _larger() -> list[tuple[str, bytes]]:
    scene = Image.effect_noise((_SIDE // 8, _SIDE // 10), 90).convert("RGB").resize((_SIDE, _SIDE * 4 // 5))
    return [(f"large {kind}", _encoded(scene, kind, **options)) for kind, options in _LARGER]


def _animations() -> list[tuple[str, bytes]]:
    frames = [Image.new("RGBA", (40, 30), (number * 60, 90, 10, 128 + number * 30)) for number in range(4)]
    return [
        (f"animated {kind}", _encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
        for kind, options in _FRAMES
    ]


def _encoded(scene: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    scene.save(buffer, kind, **options)
    return buffer.getvalue()


def make_case(seed: int, number: int) -> Case:
    """The case of this number, always the same for the same seed."""
    rng, seeds = random.Random(f"{seed}/{number}"), _seeds()
    # the larger ones cost a hundred times what the others do, and add little
    chosen = number % len(seeds) if rng.random() < 0.5 else number % len(KINDS)
    history, body = seeds[chosen]
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 4))):
        body, what = mutate(rng, body, [other for _, other in seeds[: len(KINDS)]], is_text=False)
        history += f": {what}"
    return Case(number, body, history)
