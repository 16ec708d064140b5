"""Which weights a training keeps, when it stops, how it evaluates: on scores of a test's choice, or real networks."""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest
from short_trainings import drawn_samples

from detector.anchors import anchor_boxes
from detector.batches import Batches
from detector.checkpoints import Checkpoint
from detector.initial_weights import as_ndarrays, initial_weights
from detector.networks import Network, build_network
from detector.predictor import Predictor
from detector.settings import Settings
from detector.starting_point import StartingPoint
from detector.training import Training
from detector.training_graph import StepLoss, TrainingGraph

GIVEN = {"num_classes": "2", "num_training_samples": "8", "base_network": "tiny", "image_shape": "128"}


class CountingGraph:
    """Its weights say after how many steps they were; it notes the learning rates it is given."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def step(self, batch: object, learning_rate: float) -> StepLoss:
        self.rates.append(learning_rate)
        return StepLoss(1.0, 0.5)

    def weights(self) -> dict[str, mx.nd.NDArray]:
        return {"steps": mx.nd.array([len(self.rates)])}

    def state(self) -> dict[str, np.ndarray]:
        return {}


class ScriptedTraining(Training):
    """A training of two batches in each epoch, whose validations give the scores of a list."""

    def __init__(self, scores: list[float], validation_boxes: int = 10_000, **hyperparameters: str) -> None:
        settings = Settings.from_strings(GIVEN | {"epochs": str(len(scores))} | hyperparameters)
        batches = SimpleNamespace(per_epoch=2, size=4, of_epoch=lambda _epoch, _threads, first: [None] * (2 - first))
        self.saved: list[Checkpoint] = []
        super().__init__(None, settings, CountingGraph(), batches, [], 1, lambda: False, self.saved.append)
        self._scores, self._boxes = iter(scores), validation_boxes

    def _validate(self) -> bool:
        self._judge(next(self._scores), self._boxes, self.graph.weights())
        return True


def test_the_best_epochs_weights_are_kept() -> None:
    training = ScriptedTraining([0.1, 0.5, 0.9, 0.3, 0.2])
    training.run()
    assert (training.best_epoch, training.kept_map, training.best["steps"].tolist()) == (2, 0.9, [6])
    assert training.progress.epoch == 5


def test_of_scores_that_few_boxes_do_not_tell_apart_the_later_is_kept() -> None:
    few = ScriptedTraining([0.80, 0.85, 0.83, 0.4], validation_boxes=20)  # .85 give or take .08
    few.run()
    assert (few.best_epoch, few.kept_map) == (2, 0.83)
    assert few.kept == (
        "the model has the weights of epoch 2, validation mAP 0.8300 (the greatest, 0.8500 of epoch 1, is within the"
        " uncertainty of 20 boxes)"
    )
    many = ScriptedTraining([0.80, 0.85, 0.83])
    many.run()
    assert many.kept == "the model has the weights of epoch 1, validation mAP 0.8500"


def test_the_metrics_of_each_epoch_are_noted_and_a_checkpoint_has_those_up_to_it() -> None:
    training = ScriptedTraining([0.1, 0.5])
    training.run()
    losses = {"cross_entropy": 1.0, "smooth_l1": 0.5}
    assert training.progress.epochs == [{"epoch": n, "validation_map": m} | losses for n, m in ((0, 0.1), (1, 0.5))]
    assert [len(saved.progress.epochs) for saved in training.saved] == [1, 2]


def test_a_checkpoint_after_each_epoch_holds_the_weights_kept_so_far() -> None:
    training = ScriptedTraining([0.1, 0.5, 0.2])
    training.run()
    found = [(saved.epoch, saved.progress.best_epoch, saved.best["steps"].tolist()) for saved in training.saved]
    assert found == [(1, 0, [2]), (2, 1, [4]), (3, 1, [4])]


@pytest.mark.parametrize(
    ("scores", "stopping", "epochs"),
    [
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], {"patience": "3"}, 4),
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], {"patience": "3", "min_epochs": "5"}, 5),
        ([0.5, 0.4, 0.4, 0.6, 0.4, 0.4], {"patience": "3"}, 6),  # a gain begins the count again
        ([0.5, 0.54, 0.58, 0.62, 0.9], {"patience": "2", "tolerance": "0.1"}, 5),  # .58 is 16% more than .5
        ([0.5, 0.54, 0.54, 0.62, 0.9], {"patience": "2", "tolerance": "0.1"}, 3),  # .54 is only 8% more
        ([0.5, 0.5, 0.5, 0.5, 0.5], {"patience": "2", "tolerance": "0"}, 3),  # no change is no gain
        ([0.0, 0.0, 0.1, 0.1, 0.2], {"patience": "2"}, 5),
        ([0.0, 0.0, 0.0, 0.0, 0.2], {"patience": "3"}, 4),
    ],
)
def test_early_stopping(
    scores: list[float], stopping: dict[str, str], epochs: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The built-in's meaning: a gain is one of more than the tolerance, relative to the best score before it."""
    caplog.set_level(logging.INFO)
    given = {"min_epochs": "1"} | stopping
    training = ScriptedTraining(
        scores, early_stopping="True", **{f"early_stopping_{name}": value for name, value in given.items()}
    )
    training.run()
    assert training.progress.epoch == epochs
    assert ("stopped early" in caplog.text) == (epochs < len(scores))


def test_without_early_stopping_no_number_of_bad_epochs_ends_a_training() -> None:
    training = ScriptedTraining([0.5] + [0.1] * 30, early_stopping_min_epochs="1", early_stopping_patience="1")
    training.run()
    assert training.progress.epoch == 31


def test_the_steps_and_the_warm_up_of_the_learning_rate_reach_the_optimiser() -> None:
    training = ScriptedTraining(
        [0.1] * 4, learning_rate="0.1", lr_scheduler_step="1,3", lr_scheduler_factor="0.5", warmup_steps="1"
    )
    training.run()
    assert training.graph.rates == pytest.approx([0.05, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025])


def test_the_cosine_ends_with_the_training() -> None:
    training = ScriptedTraining([0.1] * 50, learning_rate="0.1", schedule="cosine")
    training.run()
    rates = training.graph.rates
    assert rates[:60] == pytest.approx([0.1] * 60)
    assert rates[-1] == pytest.approx(0.002, rel=0.1)


@pytest.fixture
def network() -> Network:
    return build_network("tiny", 128, 2)


def raw_without_fusing(
    network: Network, weights: dict[str, mx.nd.NDArray], pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> list[np.ndarray]:
    """What the network answers on MXNet's plain kernels, which have no memory."""
    with monkeypatch.context() as patched:
        patched.setenv("MXNET_SUBGRAPH_BACKEND", "NONE")
        return list(Predictor(network, weights).raw(pictures))


def drawn_weights(network: Network, seed: int) -> dict[str, mx.nd.NDArray]:
    start = initial_weights(network, seed, {})
    return as_ndarrays(start.parameters | start.statistics)


def test_a_graph_bound_for_inference_keeps_old_weights_which_is_why_none_is_used_twice(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap itself: should this fail, MXNet has mended it, and binding anew each time is no longer needed."""
    first, second = drawn_weights(network, 1), drawn_weights(network, 2)
    pictures = np.random.default_rng(0).normal(size=(8, 3, 128, 128)).astype(np.float32)
    reused = Predictor(network, {name: value.copy() for name, value in first.items()})
    reused.raw(pictures)
    for name, value in reused._executor.arg_dict.items():
        if name != "data":
            value[:] = second[name]
    expected = raw_without_fusing(network, second, pictures, monkeypatch)
    assert np.abs(reused.raw(pictures)[1] - expected[1]).max() > 0.01
    fresh = Predictor(network, second)
    for ours, theirs in zip(fresh.raw(pictures), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_each_epoch_is_evaluated_with_its_own_weights(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a training evaluates is what its weights answer on the plain kernels, in every epoch."""
    answers: list[list[np.ndarray]] = []
    detect = Predictor.detect

    def noted(self: Predictor, *rest: object) -> Iterator[np.ndarray]:
        answers.append(list(self.raw(pictures)))
        return detect(self, *rest)  # type: ignore[arg-type]

    pictures = np.random.default_rng(0).normal(size=(8, 3, 128, 128)).astype(np.float32)
    samples = drawn_samples(8, seed=0)
    settings = Settings.from_strings(
        GIVEN | {"mini_batch_size": "4", "epochs": "3", "optimizer": "adam", "learning_rate": "0.01"}
    )
    batches = Batches(samples, anchor_boxes(network.levels), 128, network.mean, network.deviation, 4, seed=0)
    states: list[Checkpoint] = []
    graph = TrainingGraph(network, settings, initial_weights(network, 0, {}))
    monkeypatch.setattr(Predictor, "detect", noted)
    Training(network, settings, graph, batches, samples, 1, lambda: False, states.append).run()
    assert len(answers) == 3
    for epoch, state in zip(answers, states, strict=True):
        weights = as_ndarrays(
            {name.removeprefix("average/"): v for name, v in state.state.items() if name.startswith("average/")}
        )
        expected = raw_without_fusing(network, weights, pictures, monkeypatch)
        for ours, theirs in zip(epoch, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-3)
    for before, after in itertools.pairwise(answers):
        assert np.abs(before[1] - after[1]).max() > 0.05  # the weights did change


def test_the_seed_decides_the_order_the_variants_and_the_weights(network: Network) -> None:
    samples = drawn_samples(5, seed=0)

    def drawn(seed: int) -> np.ndarray:
        batches = Batches(samples, anchor_boxes(network.levels), 128, network.mean, network.deviation, 5, seed)
        return next(iter(batches.of_epoch(3, threads=2))).pictures

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()
    weights = [initial_weights(network, seed, {}).parameters["stem_weight"] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).all()


def test_an_epoch_resumed_half_way_has_the_batches_that_were_left(network: Network) -> None:
    batches = Batches(
        drawn_samples(7, seed=0), anchor_boxes(network.levels), 128, network.mean, network.deviation, 2, seed=9
    )
    whole, rest = list(batches.of_epoch(1, threads=2)), list(batches.of_epoch(1, threads=1, first=2))
    assert (len(whole), len(rest)) == (4, 2)
    for ours, theirs in zip(rest, whole[2:], strict=True):
        for name in ("pictures", "classes", "offsets"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_other_weights_or_another_preparation_of_pictures_are_another_start() -> None:
    network = build_network("tiny", 128, 2)
    start = StartingPoint(network, initial_weights(network, 0, {}), "drawn weights")
    assert start.digest == replace(start, weights=initial_weights(network, 0, {})).digest
    others = [
        replace(start, weights=initial_weights(network, 1, {})),
        replace(start, network=replace(network, mean=(0.0, 0.0, 0.0))),
    ]
    assert len({one.digest for one in (start, *others)}) == 3
