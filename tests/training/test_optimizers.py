"""Each optimiser's hyperparameters do what they say: steps against the published formulas, written out in numpy."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from short_trainings import drawn_samples

from detector.anchors import anchor_boxes
from detector.batches import Batch, Batches
from detector.initial_weights import initial_weights
from detector.networks import build_network
from detector.settings import Settings
from detector.training_graph import TrainingGraph

GIVEN = {"num_classes": "2", "num_training_samples": "4", "base_network": "tiny", "image_shape": "128"}
RATE = 0.01
WEIGHT, SCALE, OFFSET, BIAS = "stem_weight", "stem_norm_gamma", "stem_norm_beta", "class_head_bias"

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def batch() -> Batch:
    network = build_network("tiny", 128, 2)
    samples = drawn_samples(4, seed=0)
    batches = Batches(samples, anchor_boxes(network.levels), 128, network.mean, network.deviation, 4, seed=0)
    return next(iter(batches.of_epoch(0, 1)))


def graph(pretrained: frozenset[str] = frozenset(), **hyperparameters: str) -> TrainingGraph:
    settings = Settings.from_strings(GIVEN | {"mini_batch_size": "4"} | hyperparameters)
    network = build_network("tiny", 128, 2)
    start = initial_weights(network, 0, {})
    object.__setattr__(start, "pretrained", pretrained)
    return TrainingGraph(network, settings, start)


def steps(trained: TrainingGraph, batch: Batch, name: str, rates: list[float]) -> Iterator[tuple[np.ndarray, ...]]:
    """One step for each learning rate: a parameter before, its gradient, and it after."""
    for rate in rates:
        before = trained._leader.weights[name].asnumpy().astype(np.float64)
        trained.step(batch, rate)
        gradient = trained._leader.gradients[name].asnumpy().astype(np.float64)
        yield before, gradient, trained._leader.weights[name].asnumpy()


def sgd(momentum: float, decay: float) -> Rule:
    velocity: np.ndarray | float = 0.0

    def rule(weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        nonlocal velocity
        velocity = momentum * velocity - RATE * (gradient + decay * weight)
        return weight + velocity

    return rule


def adam(decay: float) -> Rule:
    """Kingma and Ba, 2015, with the decay as part of the gradient."""
    mean: np.ndarray | float = 0.0
    square: np.ndarray | float = 0.0
    count = 0

    def rule(weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        nonlocal mean, square, count
        count += 1
        gradient = gradient + decay * weight
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rate = RATE * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        return weight - rate * mean / (np.sqrt(square) + 1e-8)

    return rule


def rmsprop(decay: float) -> Rule:
    """Tieleman and Hinton, 2012."""
    square: np.ndarray | float = 0.0

    def rule(weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        nonlocal square
        gradient = gradient + decay * weight
        square = 0.9 * square + 0.1 * gradient**2
        return weight - RATE * gradient / np.sqrt(square + 1e-8)

    return rule


def adadelta() -> Rule:
    """Zeiler, 2012: without a learning rate."""
    square: np.ndarray | float = 0.0
    moved: np.ndarray | float = 0.0

    def rule(weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        nonlocal square, moved
        square = 0.9 * square + 0.1 * gradient**2
        change = np.sqrt(moved + 1e-5) / np.sqrt(square + 1e-5) * gradient
        moved = 0.9 * moved + 0.1 * change**2
        return weight - change

    return rule


@pytest.mark.parametrize(
    ("hyperparameters", "decaying", "plain"),
    [
        ({"optimizer": "sgd"}, sgd(0.9, 0.0005), sgd(0.9, 0)),  # the built-in's defaults
        ({"optimizer": "sgd", "momentum": "0.5", "weight_decay": "0.2"}, sgd(0.5, 0.2), sgd(0.5, 0)),
        ({"optimizer": "adam", "momentum": "0.5", "weight_decay": "0.2"}, adam(0.2), adam(0)),
        ({"optimizer": "rmsprop", "momentum": "0.5", "weight_decay": "0.2"}, rmsprop(0.2), rmsprop(0)),
        ({"optimizer": "adadelta", "momentum": "0.5", "weight_decay": "0.2"}, adadelta(), adadelta()),
    ],
    ids=["sgd as it comes", "sgd", "adam", "rmsprop", "adadelta"],
)
@pytest.mark.parametrize(("name", "decays"), [(WEIGHT, True), (SCALE, True), (OFFSET, False), (BIAS, False)])
def test_two_steps_are_the_formulas(
    batch: Batch, hyperparameters: dict[str, str], decaying: Rule, plain: Rule, name: str, decays: bool
) -> None:
    """Weights and the scales of normalisation decay, offsets and biases don't: MXNet's own default."""
    reset(decaying), reset(plain)
    rule = decaying if decays else plain
    for before, gradient, after in steps(graph(**hyperparameters), batch, name, [RATE, RATE]):
        expected = rule(before, gradient)
        assert np.abs(expected - before).max() > 1e-6
        np.testing.assert_allclose(after, expected, rtol=2e-4, atol=2e-6)


def reset(rule: Rule) -> None:
    """Forget the steps of another test's case."""
    for cell in rule.__closure__ or ():
        if isinstance(cell.cell_contents, np.ndarray):
            cell.cell_contents = 0.0
        elif cell.cell_contents == 2:  # adam's count after two steps
            cell.cell_contents = 0


def test_adam_leaves_weight_decay_alone_on_the_built_in_algorithms_networks() -> None:
    """Its documentation: "ignored for other optimizers" than sgd and rmsprop."""
    from detector.training_graph import _optimizer

    def decay(base_network: str, optimizer: str) -> float:
        shape = "300" if base_network in ("vgg-16", "resnet-50") else "128"
        given = GIVEN | {"base_network": base_network, "optimizer": optimizer, "image_shape": shape}
        return float(_optimizer(Settings.from_strings(given), ("a_weight",), frozenset()).wd)

    assert [decay("vgg-16", name) for name in ("sgd", "rmsprop", "adam", "adadelta")] == [0.0005, 0.0005, 0, 0]
    assert [decay("tiny", name) for name in ("sgd", "rmsprop", "adam", "adadelta")] == [0.0005, 0.0005, 0.0005, 0]


def test_the_learning_rate_of_each_step_is_used_and_a_quarter_for_pretrained_weights(batch: Batch) -> None:
    trained = graph(frozenset({WEIGHT}), optimizer="sgd", momentum="1e-9", weight_decay="1e-9")
    for rate, (before, gradient, after) in zip((0.1, 0.02), steps(trained, batch, WEIGHT, [0.1, 0.02]), strict=True):
        np.testing.assert_allclose(after, before - 0.25 * rate * gradient, rtol=1e-4, atol=1e-6)


def test_a_gradient_longer_than_the_limit_is_cut_to_it(batch: Batch) -> None:
    trained = graph(optimizer="sgd", momentum="1e-9", weight_decay="1e-9", clip_gradient="0.01")
    before = {name: trained._leader.weights[name].asnumpy().astype(np.float64) for name in trained.trained}
    trained.step(batch, 1.0)
    moved = [trained._leader.weights[name].asnumpy() - value for name, value in before.items()]
    assert np.sqrt(sum(float((change**2).sum()) for change in moved)) == pytest.approx(0.01, rel=1e-3)


def test_the_averaged_weights_follow_the_weights_slowly_at_first_fast(batch: Batch) -> None:
    trained = graph(optimizer="sgd", weight_averaging="0.15")
    average = trained._leader.weights[WEIGHT].asnumpy()
    for decay, (_, _, after) in zip((0.1, 0.15, 0.15), steps(trained, batch, WEIGHT, [RATE] * 3), strict=True):
        average = decay * average + (1 - decay) * after  # (1 + steps) / (10 + steps) at first, then as given
        np.testing.assert_allclose(trained.weights()[WEIGHT].asnumpy(), average, rtol=1e-5, atol=1e-7)


def test_without_averaging_the_weights_are_the_last(batch: Batch) -> None:
    trained = graph(optimizer="sgd")
    *_, (_, _, after) = steps(trained, batch, WEIGHT, [RATE] * 2)
    np.testing.assert_array_equal(trained.weights()[WEIGHT].asnumpy(), after)


def test_frozen_layers_stay_as_they_are(batch: Batch) -> None:
    trained = graph(optimizer="sgd", freeze_layer_pattern="^(stem|stage0)")
    before = {name: value.asnumpy() for name, value in trained.weights().items()}
    trained.step(batch, 0.1)
    changed = {name for name, value in trained.weights().items() if (value.asnumpy() != before[name]).any()}
    assert {name for name in before if name.startswith(("stem", "stage0"))} & changed == set()
    assert {name for name in before if name.startswith("stage1") and "var" not in name} & changed


def test_a_step_without_a_finite_loss_changes_nothing(batch: Batch) -> None:
    trained = graph(optimizer="adam")
    trained.step(batch, RATE)
    before = trained.state()
    broken = Batch(batch.pictures, batch.classes, np.full_like(batch.offsets, np.nan))
    assert not trained.step(broken, RATE).finite
    after = trained.state()
    assert (after["steps"], after["updates"]) == (2, 1)
    for name in before.keys() - {"steps"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
