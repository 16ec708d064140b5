"""Decoding and suppression, against cases worked out by hand and a plain loop."""

import numpy as np

from detector.boxes import overlaps
from detector.detections import detections, suppress

ANCHORS = np.array([[0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.52, 0.5], [0.6, 0.6, 0.9, 0.9]])


def test_a_box_yields_to_a_better_one_of_its_class() -> None:
    probabilities = np.array([[0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.3, 0.0, 0.7]])
    rows = detections(probabilities, np.zeros((3, 4)), ANCHORS, 0.45, 400)
    assert rows[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(rows[:, 1], [0.9, 0.7])
    np.testing.assert_allclose(rows[:, 2:], ANCHORS[[0, 2]])


def test_a_box_does_not_yield_to_another_class() -> None:
    probabilities = np.array([[0.1, 0.9, 0.0], [0.2, 0.0, 0.8], [0.99, 0.005, 0.005]])
    rows = detections(probabilities, np.zeros((3, 4)), ANCHORS, 0.45, 400)
    assert rows[:, 0].tolist() == [0, 1]  # the third is below the floor


def test_offsets_move_the_boxes_which_are_clipped_to_the_picture() -> None:
    probabilities = np.array([[0.0, 1.0]])
    offsets = np.array([[-10.0, 0, 0, 0]])  # the centre moves left by a whole width of .4
    rows = detections(probabilities, offsets, ANCHORS[:1], 0.45, 400)
    np.testing.assert_allclose(rows, [[0, 1, 0, 0.1, 0.1, 0.5]], atol=1e-9)


def test_topk_bounds_what_is_considered() -> None:
    probabilities = np.tile([0.4, 0.6], (50, 1))
    anchors = np.stack([np.linspace(0, 0.8, 50), np.zeros(50), np.linspace(0, 0.8, 50) + 0.01, np.ones(50)], axis=1)
    assert len(detections(probabilities, np.zeros((50, 4)), anchors, 0.45, 7)) == 7


def test_no_candidate_gives_no_rows() -> None:
    assert detections(np.array([[1.0, 0.0]]), np.zeros((1, 4)), ANCHORS[:1], 0.45, 400).shape == (0, 6)


def test_suppression_equals_the_plain_loop() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        boxes = np.sort(rng.uniform(0, 1, (120, 2, 2)), axis=1).reshape(120, 4)
        classes = rng.integers(0, 3, 120)
        shared, kept = overlaps(boxes, boxes), []
        for place in range(120):
            if all(shared[place, other] < 0.45 or classes[place] != classes[other] for other in kept):
                kept.append(place)
        assert suppress(boxes, classes, 0.45).tolist() == kept


def test_who_is_struck_strikes_no_one() -> None:
    """A long chain of boxes each of which overlaps its neighbours alone: every second one stays."""
    left = np.arange(40) * 0.2
    chain = np.stack([left, np.zeros(40), left + 0.5, np.ones(40)], axis=1)
    assert suppress(chain, np.zeros(40, int), 0.4).tolist() == list(range(0, 40, 2))


def test_boxes_without_an_area_strike_no_one() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1]])
    assert suppress(boxes, np.zeros(3, int), 0.45).tolist() == [0, 1, 2]


def test_an_overlap_of_just_the_threshold_strikes_and_a_score_of_just_the_floor_stays() -> None:
    halves = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5], [0, 0.5, 1, 1]], np.float32)
    assert suppress(halves, np.zeros(3, int), 0.5).tolist() == [0]
    assert suppress(halves[[0, 0]], np.zeros(2, int), 1.0).tolist() == [0]
    third = np.array([[0, 0, 1, 1], [0, 0, 1, np.float32(0.3)]], np.float32)
    assert suppress(third, np.zeros(2, int), 0.3).tolist() == [0]
    probabilities = np.array([[0.99, 0.01], [0.991, 0.009]], np.float32)
    anchors = np.array([[0, 0, 0.1, 0.1], [0.5, 0.5, 0.6, 0.6]], np.float32)
    assert len(detections(probabilities, np.zeros((2, 4), np.float32), anchors, 0.45, 400)) == 1
