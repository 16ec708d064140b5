"""Matching and offsets, on numbers worked out by hand."""

import numpy as np
import pytest

from detector.anchors import AnchorLevel, anchor_boxes
from detector.targets import decode, encode, match, picture_targets


def test_anchors_lie_around_their_cells_centres_size_by_size_then_ratio_by_ratio() -> None:
    boxes = anchor_boxes([AnchorLevel(2, (0.2, 0.4), (1.0, 4.0))])
    assert boxes.shape == (2 * 2 * 3, 4)
    np.testing.assert_allclose(boxes[0], [0.15, 0.15, 0.35, 0.35], atol=1e-6)
    np.testing.assert_allclose(boxes[1], [0.05, 0.05, 0.45, 0.45], atol=1e-6)
    np.testing.assert_allclose(boxes[2], [0.05, 0.2, 0.45, 0.3], atol=1e-6)  # ratio 4: twice as wide, half as high
    np.testing.assert_allclose(boxes[3], [0.65, 0.15, 0.85, 0.35], atol=1e-6)  # the next cell of the row


def test_an_anchor_takes_the_box_it_overlaps_most_beyond_one_half() -> None:
    anchors = np.array([[0, 0, 0.4, 0.4], [0, 0, 0.4, 0.3], [0.6, 0.6, 1, 1], [0.5, 0.5, 0.6, 0.6]])
    boxes = np.array([[0, 0, 0.4, 0.4], [0.6, 0.6, 0.9, 1]])
    assert match(anchors, boxes).tolist() == [0, 0, 1, -1]  # overlaps 1, .75, .75 and none


def test_an_overlap_of_just_one_half_is_not_enough() -> None:
    """The paper: "higher than a threshold (0.5)"; so has it MXNet's MultiBoxTarget."""
    anchors = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5], [0, 0, 0.5, 1]])
    assert match(anchors, np.array([[0.0, 0.0, 1.0, 1.0]])).tolist() == [0, -1, -1]
    assert match(anchors, np.array([[0.0, 0.0, 1.0, 1.0]]), threshold=0.49).tolist() == [0, 0, 0]


def test_every_box_gets_its_best_anchor_even_below_the_threshold() -> None:
    anchors = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    assert match(anchors, np.array([[0.0, 0.0, 0.1, 0.1]])).tolist() == [0, -1]


def test_two_boxes_on_one_anchor_get_an_anchor_each() -> None:
    anchors = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 1.0]])
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45]])
    assert match(anchors, boxes).tolist() == [0, 1]


def test_a_picture_without_boxes_is_all_background() -> None:
    anchors = anchor_boxes([AnchorLevel(3, (0.3,), (1.0,))])
    classes, offsets = picture_targets(anchors, np.zeros((0, 5), np.float32))
    assert not classes.any()
    assert not offsets.any()


def test_offsets_are_centre_shifts_and_log_ratios_over_the_variances() -> None:
    anchor, box = np.array([[0.2, 0.2, 0.4, 0.6]]), np.array([[0.25, 0.2, 0.65, 0.6]])
    # centre moves by .15 of a width of .2; the width doubles; y stays
    np.testing.assert_allclose(encode(anchor, box), [[0.15 / 0.2 / 0.1, 0, np.log(2) / 0.2, 0]], atol=1e-9)
    np.testing.assert_allclose(decode(anchor, encode(anchor, box)), box, atol=1e-9)


def test_decoding_undoes_encoding() -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (200, 2, 2)), axis=1).reshape(200, 4) + np.array([0, 0, 0.01, 0.01])
    anchors = np.sort(rng.uniform(0, 1, (200, 2, 2)), axis=1).reshape(200, 4) + np.array([0, 0, 0.01, 0.01])
    np.testing.assert_allclose(decode(anchors, encode(anchors, corners)), corners, atol=1e-9)


def test_a_wild_offset_stays_a_number() -> None:
    assert np.isfinite(decode(np.array([[0.1, 0.1, 0.2, 0.2]]), np.array([[0.0, 0.0, 1e6, 1e6]]))).all()


@pytest.mark.parametrize("class_id", [0, 4])
def test_target_class_zero_is_the_background(class_id: int) -> None:
    anchors = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    classes, _ = picture_targets(anchors, np.array([[class_id, 0, 0, 0.5, 0.5]], np.float32))
    assert classes.tolist() == [class_id + 1, 0]
