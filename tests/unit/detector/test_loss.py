"""The loss, on numbers worked out by hand, and its gradients, against finite differences."""

import math

import numpy as np

from detector.loss import NEGATIVES_PER_POSITIVE, detection_loss, hard_negatives


def test_the_loss_of_a_hand_worked_batch() -> None:
    logits = np.zeros((1, 5, 2))
    logits[0, 0] = [0, math.log(3)]  # the matched anchor: probability 3/4 for its class
    logits[0, 1] = [math.log(7), 0]  # the easiest background anchor: left out, as 3 of 4 are taken
    classes = np.array([[1, 0, 0, 0, 0]])
    offsets, wanted = np.zeros((1, 5, 4)), np.zeros((1, 5, 4))
    wanted[0, 0] = [0.5, -2, 0, 0]
    loss = detection_loss(logits, offsets, classes, wanted)
    assert math.isclose(loss.cross_entropy, -math.log(3 / 4) + 3 * math.log(2), rel_tol=1e-6)
    assert math.isclose(loss.smooth_l1, 0.5 * 0.5**2 + (2 - 0.5), rel_tol=1e-6)
    np.testing.assert_allclose(loss.offsets_gradient[0, 0], [-0.5, 1, 0, 0])
    np.testing.assert_allclose(loss.logits_gradient[0, 0], [0.25, -0.25], atol=1e-7)
    np.testing.assert_allclose(loss.logits_gradient[0, 1], [0, 0])
    np.testing.assert_allclose(loss.logits_gradient[0, 2], [-0.5, 0.5], atol=1e-7)


def test_the_gradients_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(1)
    logits, offsets = rng.normal(size=(2, 40, 4)), rng.normal(size=(2, 40, 4))
    classes = rng.integers(0, 4, (2, 40)) * (rng.random((2, 40)) < 0.2)
    wanted = rng.normal(size=(2, 40, 4))
    loss = detection_loss(logits, offsets, classes, wanted)
    step = 1e-5

    def total(shifted_logits: np.ndarray, shifted_offsets: np.ndarray) -> float:
        shifted = detection_loss(shifted_logits, shifted_offsets, classes, wanted)
        return shifted.cross_entropy + shifted.smooth_l1

    for place in [(0, 3, 1), (1, 17, 0), (0, 39, 2), (1, 5, 3)]:
        for values, gradient in ((logits, loss.logits_gradient), (offsets, loss.offsets_gradient)):
            up, down = values.copy(), values.copy()
            up[place] += step
            down[place] -= step
            if values is logits:
                slope = (total(up, offsets) - total(down, offsets)) / (2 * step)
            else:
                slope = (total(logits, up) - total(logits, down)) / (2 * step)
            assert math.isclose(slope, float(gradient[place]), abs_tol=1e-4)


def test_hard_negatives_are_the_worst_three_per_matched_anchor_of_each_picture() -> None:
    losses = np.array([[9.0, 1, 5, 3, 4, 2], [1.0, 2, 3, 4, 5, 6]])
    positive = np.array([[True, False, False, False, False, False]] * 2)
    chosen = hard_negatives(losses, positive)
    assert np.flatnonzero(chosen[0]).tolist() == [2, 3, 4]
    assert np.flatnonzero(chosen[1]).tolist() == [3, 4, 5]
    assert NEGATIVES_PER_POSITIVE == 3


def test_a_picture_without_objects_still_teaches_what_background_is() -> None:
    loss = detection_loss(np.zeros((1, 50, 3)), np.zeros((1, 50, 4)), np.zeros((1, 50), np.int64), np.zeros((1, 50, 4)))
    assert loss.cross_entropy > 0
    assert loss.smooth_l1 == 0


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([[[1e4, -1e4], [-1e4, 1e4]]])
    loss = detection_loss(logits, np.zeros((1, 2, 4)), np.array([[0, 1]]), np.zeros((1, 2, 4)))
    assert math.isfinite(loss.cross_entropy)
    assert np.isfinite(loss.logits_gradient).all()
