"""Vary a training picture as SSD's authors do.

Zoom out, crop around objects, mirror, change the colours. Pillow does the pixel work.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.boxes import areas, intersections

Labels = npt.NDArray[np.float32]
Window = tuple[float, float, float, float]

WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
_ZOOM_OUT_PROBABILITY, _LARGEST_ZOOM_OUT = 0.3, 2.0
_CROP_PROBABILITY, _SMALLEST_CROP, _CROP_TRIALS = 0.55, 0.35, 20
_COVERAGES = (0.3, 0.5, 0.7, 0.9)
_COLOUR_PROBABILITY = 0.7
_RED_GREEN_BLUE_TO_GREY = np.array([0.299, 0.587, 0.114])


def augmented(
    picture: Image.Image, labels: Labels, side: int, fill: tuple[int, int, int], rng: np.random.Generator
) -> tuple[Image.Image, Labels]:
    """Return a `side` x `side` variant of the picture and its labels (class id, box) in the variant's fractions."""
    window = choose_window(labels[:, 1:], rng)
    labels = seen_through(labels, window)
    variant = cut_out(picture, window, side, fill)
    if rng.random() < 0.5:
        variant = variant.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        labels = labels.copy()
        labels[:, [1, 3]] = 1 - labels[:, [3, 1]]
    if rng.random() < _COLOUR_PROBABILITY:
        variant = variant.convert("RGB", colour_matrix(rng))
    return variant, labels


def choose_window(boxes: npt.NDArray[np.floating[Any]], rng: np.random.Generator) -> Window:
    """Return the part of the picture to show, in its fractions: beyond it (zoom out), within it (crop) or all of it."""
    if rng.random() < _ZOOM_OUT_PROBABILITY:
        side = rng.uniform(1, _LARGEST_ZOOM_OUT)
        left, top = -rng.uniform(0, side - 1, 2)
        return left, top, left + side, top + side
    if len(boxes) == 0 or rng.random() >= _CROP_PROBABILITY:
        return WHOLE
    wanted = rng.choice(_COVERAGES)
    for _ in range(_CROP_TRIALS):
        width, height = rng.uniform(_SMALLEST_CROP, 1, 2)
        if not 0.5 <= width / height <= 2:
            continue
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        window = (left, top, left + width, top + height)
        coverage = intersections(boxes, np.array([window]))[:, 0] / np.maximum(areas(boxes), 1e-12)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centres > window[:2]) & (centres < window[2:])).all(axis=1)
        if inside.any() and coverage[inside].min() >= wanted:
            return window
    return WHOLE


def seen_through(labels: Labels, window: Window) -> Labels:
    """Return the labels whose centre is inside the window, clipped to it and in its fractions."""
    left, top, right, bottom = window
    boxes = (labels[:, 1:] - (left, top, left, top)) / (right - left, bottom - top, right - left, bottom - top)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    kept = ((centres > 0) & (centres < 1)).all(axis=1)
    return np.concatenate([labels[kept, :1], np.clip(boxes[kept], 0, 1)], axis=1).astype(np.float32)


def cut_out(picture: Image.Image, window: Window, side: int, fill: tuple[int, int, int]) -> Image.Image:
    """Return the window's content squashed to a square; what lies beyond the picture is `fill`."""
    width, height = picture.size
    left, top, right, bottom = window
    source = (max(left, 0) * width, max(top, 0) * height, min(right, 1) * width, min(bottom, 1) * height)
    x0, y0 = (round((max(low, 0) - low) / (high - low) * side) for low, high in ((left, right), (top, bottom)))
    x1, y1 = (round((min(high, 1) - low) / (high - low) * side) for low, high in ((left, right), (top, bottom)))
    scaled = picture.resize((max(x1 - x0, 1), max(y1 - y0, 1)), Image.Resampling.BILINEAR, box=source)
    if scaled.size == (side, side):
        return scaled
    canvas = Image.new("RGB", (side, side), fill)
    canvas.paste(scaled, (x0, y0))
    return canvas


def colour_matrix(rng: np.random.Generator) -> tuple[float, ...]:
    """Return a random change of brightness, contrast, saturation and hue as the 3 x 4 matrix of `Image.convert`."""
    angle = rng.uniform(-18, 18) / 180 * math.pi
    contrast, brightness, saturation = rng.uniform(0.7, 1.3), rng.uniform(-25, 25), rng.uniform(0.6, 1.4)
    axis = np.full(3, 3**-0.5)  # hue turns colours about the grey axis
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = math.cos(angle) * np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * np.outer(axis, axis)
    saturate = saturation * np.eye(3) + (1 - saturation) * np.tile(_RED_GREEN_BLUE_TO_GREY, (3, 1))
    matrix = contrast * saturate @ turn
    offset = (1 - contrast) * 128 + brightness
    return tuple(float(value) for row in matrix for value in (*row, offset))
