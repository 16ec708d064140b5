"""Default boxes that fit the data: small ones for small objects, wide ones for wide objects, and never too few."""

import numpy as np
import pytest

from detector.anchor_fitting import fitted_levels
from detector.anchors import AnchorLevel, anchor_boxes, doubling_sizes, with_shapes_of
from detector.boxes import overlaps

SIDES = (37, 19, 10, 5, 3)
STANDARD = tuple(
    AnchorLevel(side, sizes, (1.0, 2.0, 0.5)) for side, sizes in zip(SIDES, doubling_sizes(3 * 8 / 289, 5), strict=True)
)


def drawn(rng: np.random.Generator, class_id: int, count: int, size: float, ratio: float) -> np.ndarray:
    """Boxes about as large and as wide, anywhere in the picture."""
    sizes, ratios = size * rng.uniform(0.9, 1.1, count), ratio * rng.uniform(0.9, 1.1, count)
    sides = np.stack([sizes * ratios**0.5, sizes / ratios**0.5], axis=1)
    corners = rng.uniform(0, 1, (count, 2)) * (1 - sides)
    return np.concatenate([np.full((count, 1), class_id), corners, corners + sides], axis=1).astype(np.float32)


def best_overlaps(levels: tuple[AnchorLevel, ...], labels: np.ndarray) -> np.ndarray:
    return overlaps(anchor_boxes(levels), labels[:, 1:]).max(axis=0)


@pytest.mark.parametrize(
    ("size", "ratio"), [(0.06, 1.0), (0.06, 0.5), (0.2, 3.0), (0.3, 0.3), (0.4, 1.0), (0.5, 1.6), (0.7, 1.0)]
)
def test_fitted_anchors_cover_the_boxes_at_least_as_well(size: float, ratio: float) -> None:
    labels = drawn(np.random.default_rng(0), 0, 400, size, ratio)
    fitted, standard = (best_overlaps(levels, labels) for levels in (fitted_levels(STANDARD, [labels]), STANDARD))
    assert fitted.mean() >= standard.mean() - 0.02
    assert (fitted < 0.5).mean() <= (standard < 0.5).mean() + 0.01


def test_small_boxes_of_a_rare_class_make_the_finest_anchors_small() -> None:
    rng = np.random.default_rng(1)
    many, few = drawn(rng, 0, 500, 0.3, 1.0), drawn(rng, 1, 10, 0.06, 1.0)
    levels = fitted_levels(STANDARD, [many, few])
    assert levels[0].sizes[0] == pytest.approx(0.06, rel=0.15)
    assert best_overlaps(levels, few).mean() > best_overlaps(STANDARD, few).mean() + 0.1


def test_the_sizes_stay_between_two_cells_and_the_standard() -> None:
    rng = np.random.default_rng(2)
    tiny, huge = (fitted_levels(STANDARD, [drawn(rng, 0, 50, size, 1.0)]) for size in (0.01, 0.8))
    assert tiny[0].sizes[0] == pytest.approx(2 / 37)
    assert [level.sizes for level in huge] == [level.sizes for level in STANDARD]


def test_there_are_as_many_anchors_as_before_and_each_is_another() -> None:
    alike = drawn(np.random.default_rng(3), 0, 50, 0.2, 1.0)
    alike[:, 3:] = alike[:, 1:3] + np.float32(0.2)  # all of one size and ratio
    for labels in (alike, alike[:1], drawn(np.random.default_rng(4), 0, 50, 0.1, 60.0)):
        levels = fitted_levels(STANDARD, [labels])
        assert [(level.side, level.per_cell) for level in levels] == [
            (level.side, level.per_cell) for level in STANDARD
        ]
        boxes = anchor_boxes(levels)
        assert len(np.unique(boxes, axis=0)) == len(boxes)
        assert all(1 / 6 <= ratio <= 6 for ratio in levels[0].ratios)


def test_the_same_labels_in_another_order_fit_the_same() -> None:
    labels = [drawn(np.random.default_rng(seed), seed % 2, 20, 0.1 + seed / 20, 1.3) for seed in range(6)]
    assert fitted_levels(STANDARD, labels) == fitted_levels(STANDARD, labels[::-1])


def test_boxes_without_an_area_leave_the_standard() -> None:
    flat = np.array([[0, 0.2, 0.2, 0.2, 0.5]], np.float32)
    assert fitted_levels(STANDARD, [flat, flat[:0]]) == STANDARD


def test_an_earlier_models_shapes_are_taken_over_to_other_sides() -> None:
    earlier = fitted_levels(STANDARD, [drawn(np.random.default_rng(5), 0, 50, 0.06, 2.0)])
    finer = [AnchorLevel(2 * level.side, level.sizes, level.ratios) for level in STANDARD]
    taken = with_shapes_of(finer, earlier)
    assert [level.side for level in taken] == [level.side for level in finer]
    assert [(level.sizes, level.ratios) for level in taken] == [(level.sizes, level.ratios) for level in earlier]
    assert with_shapes_of(finer, ()) == tuple(finer)
