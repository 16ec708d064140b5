"""The learning rate over the steps."""

import numpy as np
import pytest

from detector.schedule import Schedule


def schedule(kind: str, warmup_steps: int = 0) -> Schedule:
    return Schedule(kind, 0.1, warmup_steps, (2, 4), 0.5, steps_per_epoch=10, total_steps=100)


def test_steps_multiply_at_the_beginning_of_their_epochs() -> None:
    rates = [schedule("step").at(step) for step in (0, 19, 20, 39, 40, 99)]
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_the_cosine_is_constant_then_falls_to_almost_nothing() -> None:
    rates = [schedule("cosine").at(step) for step in range(101)]
    assert rates[:60] == pytest.approx([0.1] * 60)
    assert np.all(np.diff(rates[60:]) < 0)
    assert rates[80] == pytest.approx(0.1 * (0.02 + 0.98 / 2))
    assert rates[100] == pytest.approx(0.002)


def test_warming_up_begins_small_and_ends_at_the_rate() -> None:
    rates = [schedule("step", warmup_steps=4).at(step) for step in range(6)]
    assert rates == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
