"""Training on several devices of one host, by MXNet's `device` store. CPU contexts stand for GPUs here."""

import mxnet as mx
import numpy as np
from short_trainings import drawn_samples

from detector.anchors import anchor_boxes
from detector.batches import Batch, Batches
from detector.hosts.peers import Alone
from detector.initial_weights import initial_weights
from detector.networks import build_network
from detector.settings import Settings
from detector.training import Training
from detector.training_graph import TrainingGraph

ONE, TWO = [mx.cpu(0)], [mx.cpu(0), mx.cpu(1)]
GIVEN = {"num_classes": "2", "num_training_samples": "32", "base_network": "tiny", "image_shape": "128"}
NETWORK = build_network("tiny", 128, 2)


def settings(**more: str) -> Settings:
    return Settings.from_strings(GIVEN | {"mini_batch_size": "8"} | more)


def graph(devices: list[mx.Context], **more: str) -> TrainingGraph:
    return TrainingGraph(NETWORK, settings(**more), initial_weights(NETWORK, 0, {}), devices)


def batches(count: int, size: int) -> Batches:
    anchors = anchor_boxes(NETWORK.levels)
    return Batches(drawn_samples(count, 0), anchors, 128, NETWORK.mean, NETWORK.deviation, size, seed=1)


def twice(batch: Batch) -> Batch:
    """A batch whose second half is its first again: each device then sees the statistics of the whole."""
    return Batch(*(np.concatenate([value, value]) for value in (batch.pictures, batch.classes, batch.offsets)))


def test_two_devices_make_the_step_of_one() -> None:
    given = {"optimizer": "sgd", "clip_gradient": "5", "weight_averaging": "0.9"}
    one, two = graph(ONE, **given), graph(TWO, **given)
    for number, batch in enumerate(batches(12, 4).of_epoch(0, 1)):
        losses = [each.step(twice(batch), 0.001) for each in (one, two)]
        np.testing.assert_allclose(losses[0].cross_entropy, losses[1].cross_entropy, rtol=1e-4, err_msg=str(number))
    for name, value in one.state().items():
        np.testing.assert_allclose(two.state()[name], value, rtol=2e-3, atol=2e-4, err_msg=name)


def test_devices_hold_the_same_weights_after_every_step() -> None:
    two = graph(TWO, optimizer="adam")
    for batch in batches(16, 8).of_epoch(0, 1):
        two.step(batch, 0.002)
    leader, other = two._replicas
    for name, value in leader.moving.items():
        np.testing.assert_array_equal(other.moving[name].asnumpy(), value.asnumpy(), err_msg=name)


def test_a_batch_need_not_be_a_multiple_of_the_devices_nor_as_many() -> None:
    three = graph(TWO, mini_batch_size="3")
    assert three.step(next(iter(batches(6, 3).of_epoch(0, 1))), 0.001).finite
    alone = graph(TWO, mini_batch_size="1")
    assert alone.step(next(iter(batches(2, 1).of_epoch(0, 1))), 0.001).finite


def test_a_state_is_taken_up_by_all_devices() -> None:
    """As a checkpoint's, whose number of devices may have been another."""
    first, *rest = [twice(half) for half in batches(12, 4).of_epoch(0, 1)]
    one, two = graph(ONE, optimizer="adam"), graph(TWO, optimizer="adam")
    one.step(first, 0.002)
    two.restore(one.state())
    for batch in rest:
        losses = [each.step(batch, 0.002).cross_entropy for each in (one, two)]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_a_training_on_two_devices_learns() -> None:
    given = settings(optimizer="adam", learning_rate="0.003", schedule="cosine", weight_averaging="0.9", epochs="12")
    training = Training(
        network=NETWORK,
        settings=given,
        graph=TrainingGraph(NETWORK, given, initial_weights(NETWORK, 0, {}), TWO),
        batches=batches(48, 8),
        validation=drawn_samples(12, 1),
        threads=1,
        stop=lambda: False,
        save=lambda _checkpoint: None,
        peers=Alone(),
    )
    training.run()
    assert training.kept_map > 0.8
