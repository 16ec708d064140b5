"""Boxes follow the pixels through every augmentation."""

import numpy as np
import pytest
from PIL import Image

from detector.augment import WHOLE, augmented, choose_window, colour_matrix, cut_out, seen_through

GREY = (90, 90, 90)


def picture_with(box: tuple[float, float, float, float]) -> Image.Image:
    """A black picture with a white box."""
    picture = Image.new("RGB", (400, 300))
    xmin, ymin, xmax, ymax = box
    picture.paste((255, 255, 255), (round(xmin * 400), round(ymin * 300), round(xmax * 400), round(ymax * 300)))
    return picture


def white_box(picture: Image.Image) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(np.asarray(picture.convert("L")) > 160)
    width, height = picture.size
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return left / width, top / height, right / width, bottom / height


@pytest.mark.parametrize("seed", range(40))
def test_the_box_is_where_the_object_went(seed: int) -> None:
    box = (0.3, 0.4, 0.6, 0.7)
    variant, labels = augmented(
        picture_with(box), np.array([[0, *box]], np.float32), 200, GREY, np.random.default_rng(seed)
    )
    assert variant.size == (200, 200)
    if len(labels):
        np.testing.assert_allclose(labels[0, 1:], white_box(variant), atol=0.02)


def test_a_window_maps_its_corners_to_zero_and_one() -> None:
    labels = np.array([[3, 0.25, 0.5, 0.75, 1.0]], np.float32)
    np.testing.assert_allclose(seen_through(labels, (0.25, 0.5, 0.75, 1.0)), [[3, 0, 0, 1, 1]])
    np.testing.assert_allclose(seen_through(labels, (-0.5, -0.5, 1.5, 1.5)), [[3, 0.375, 0.5, 0.625, 0.75]])


def test_an_object_whose_centre_is_cut_off_is_forgotten() -> None:
    labels = np.array([[0, 0.0, 0.0, 0.5, 0.5], [1, 0.6, 0.6, 0.9, 0.9]], np.float32)
    assert seen_through(labels, (0.5, 0.5, 1.0, 1.0))[:, 0].tolist() == [1]


def test_a_crop_keeps_an_object_and_zooming_out_keeps_all() -> None:
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.7, 0.6, 0.9, 0.9]])
    labels = np.concatenate([[[0], [1]], boxes], axis=1).astype(np.float32)
    kinds = set()
    for seed in range(300):
        window = choose_window(boxes, np.random.default_rng(seed))
        left, top, right, bottom = window
        if window == WHOLE:
            kinds.add("whole")
        elif left <= 0 and top <= 0 and right >= 1 and bottom >= 1:
            kinds.add("zoomed out")
            assert len(seen_through(labels, window)) == 2
        else:
            kinds.add("cropped")
            assert left >= 0
            assert right <= 1
            assert len(seen_through(labels, window)) >= 1
    assert kinds == {"whole", "zoomed out", "cropped"}


def test_beyond_the_picture_is_the_fill_colour() -> None:
    shown = np.asarray(cut_out(Image.new("RGB", (50, 50), (255, 0, 0)), (-0.5, -0.5, 1.5, 1.5), 100, GREY))
    assert shown[5, 5].tolist() == list(GREY)
    assert shown[50, 50].tolist() == [255, 0, 0]


def test_colours_change_but_not_beyond_recognition() -> None:
    picture = Image.new("RGB", (4, 4), (120, 130, 140))
    seen = {tuple(np.asarray(picture.convert("RGB", colour_matrix(np.random.default_rng(s))))[0, 0]) for s in range(30)}
    assert len(seen) > 20
    assert all(60 < channel < 200 for colour in seen for channel in colour)
