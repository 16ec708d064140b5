"""The graphs, against MXNet's own operators and against themselves."""

import re

import mxnet as mx
import numpy as np
import pytest

from detector.anchors import AnchorLevel, anchor_boxes
from detector.batches import Batch
from detector.freezing import frozen_parameters, split
from detector.initial_weights import as_ndarrays, initial_weights
from detector.networks import Network, build_network
from detector.pretrained import load_weights
from detector.settings import Settings
from detector.training_graph import TrainingGraph
from dropspot.errors import InvalidInputError


def test_anchors_are_those_of_multiboxprior() -> None:
    level = AnchorLevel(7, (0.2, 0.3), (1.0, 2.0, 0.5))
    theirs = mx.nd.contrib.MultiBoxPrior(mx.nd.zeros((1, 3, 7, 7)), sizes=level.sizes, ratios=level.ratios)
    np.testing.assert_allclose(anchor_boxes([level]), theirs[0].asnumpy(), atol=1e-6)


def test_anchors_with_a_step_are_those_of_multiboxprior() -> None:
    level = AnchorLevel(19, (0.2, 0.272), (1.0, 2.0, 0.5, 3.0, 1 / 3), 16 / 300)
    theirs = mx.nd.contrib.MultiBoxPrior(
        mx.nd.zeros((1, 3, 19, 19)), sizes=level.sizes, ratios=level.ratios, steps=(16 / 300, 16 / 300)
    )
    np.testing.assert_allclose(anchor_boxes([level]), theirs[0].asnumpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("tiny", 128),
        ("tiny", 150),
        ("efficientnet-lite0", 300),
        ("vgg-16", 300),
        ("vgg-16", 333),
        ("vgg-16", 512),
        ("resnet-50", 300),
        ("resnet-50", 411),
        ("resnet-50", 512),
    ],
)
def test_outputs_have_a_row_for_each_anchor(name: str, side: int) -> None:
    network = build_network(name, side, 3)
    _, shapes, _ = network.symbol.infer_shape(data=(2, 3, side, side))
    anchors = len(anchor_boxes(network.levels))
    assert shapes == [(2, anchors, 4), (2, anchors, 4)]


@pytest.mark.parametrize(
    ("name", "side", "sides", "anchors"),
    [
        ("vgg-16", 300, [38, 19, 10, 5, 3, 1], 8732),  # the SSD paper's own number
        ("vgg-16", 512, [64, 32, 16, 8, 4, 2, 2], 24576),
        ("resnet-50", 300, [19, 10, 5, 3, 2, 1], 2268),
        ("resnet-50", 512, [32, 16, 8, 4, 2, 1], 6132),
    ],
)
def test_the_built_ins_networks_have_the_published_maps(name: str, side: int, sides: list[int], anchors: int) -> None:
    network = build_network(name, side, 20)
    assert [level.side for level in network.levels] == sides
    assert len(anchor_boxes(network.levels)) == anchors


@pytest.mark.parametrize(
    ("name", "trunk", "complaint"),
    [
        ("resnet-9000", "", "base_network is 'resnet-9000'"),
        ("resnet-50", "flat", "no trunk 'flat'"),
        ("vgg-16", "post-activation", "vgg-16 has one trunk only"),
    ],
)
def test_a_network_that_is_not_there_is_refused_by_name(name: str, trunk: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        build_network(name, 300, 2, trunk)


def test_the_built_ins_documented_pattern_freezes_vggs_first_two_groups() -> None:
    symbol = build_network("vgg-16", 300, 2).symbol
    frozen = frozen_parameters(symbol, "^(conv1_|conv2_).*")
    assert frozen == {f"conv{layer}_{kind}" for layer in ("1_1", "1_2", "2_1", "2_2") for kind in ("weight", "bias")}
    parts = split(symbol, frozen)
    assert parts.cut == ("pool2",)


def test_heads_start_near_zero_and_expect_background() -> None:
    network = build_network("vgg-16", 300, 2)
    start = initial_weights(network, 0, {}).parameters
    assert start["relu7_cls_pred_conv_bias"].reshape(6, 3).tolist() == [[2, 0, 0]] * 6
    assert start["relu4_3_loc_pred_conv_bias"].tolist() == [0] * 16
    assert start["relu7_loc_pred_conv_weight"].std() == pytest.approx(0.01, rel=0.05)
    assert (start["relu4_3_scale"] == 20).all()


def answers(symbol: mx.sym.Symbol, weights: dict[str, mx.nd.NDArray], **inputs: mx.nd.NDArray) -> list[np.ndarray]:
    executor = symbol.bind(
        mx.cpu(),
        args={name: weights[name] for name in symbol.list_arguments() if name not in inputs} | inputs,
        aux_states={name: weights[name] for name in symbol.list_auxiliary_states()},
        grad_req="null",
    )
    return [value.asnumpy() for value in executor.forward(is_train=False)]


def drawn(network: Network) -> dict[str, mx.nd.NDArray]:
    pretrained = load_weights() if network.pretrained else {}
    start = initial_weights(network, 0, pretrained)
    return as_ndarrays(start.parameters | start.statistics)


@pytest.mark.parametrize(
    ("name", "side", "pattern", "cut"),
    [
        ("tiny", 128, "^(stem|stage[01])", 2),
        ("efficientnet-lite0", 161, r"^(stem|block[0-4]_)", 1),
        ("efficientnet-lite0", 161, r"^(stem|block)", 3),
        ("resnet-50", 300, r"^(bn_data|conv0|bn0|stage[12]_)", 1),
    ],
)
def test_trunk_and_rest_make_the_whole(name: str, side: int, pattern: str, cut: int) -> None:
    network = build_network(name, side, 2)
    weights = drawn(network)
    frozen = frozen_parameters(network.symbol, pattern)
    parts = split(network.symbol, frozen)
    assert parts.trunk is not None
    assert len(parts.cut) == cut
    assert set(parts.rest.list_arguments()) & frozen == set()
    picture = mx.nd.random.normal(shape=(1, 3, side, side))
    between = answers(parts.trunk, weights, data=picture)
    inputs = {name: mx.nd.array(value) for name, value in zip(parts.cut, between, strict=True)}
    whole = answers(network.symbol, weights, data=picture)
    for ours, theirs in zip(answers(parts.rest, weights, **inputs), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_recipe_trains_the_later_blocks_but_for_their_depthwise_filters() -> None:
    given = {"num_classes": "2", "num_training_samples": "1", "image_shape": "161", "base_network": "auto"}
    settings = Settings.from_strings(given)
    network = build_network(settings.base_network, 161, 2)
    start = initial_weights(network, 0, load_weights())
    graph = TrainingGraph(network, settings, start)
    rng = np.random.default_rng(0)
    anchors = len(anchor_boxes(network.levels))
    classes = rng.integers(0, 3, (1, anchors))
    pictures = rng.normal(size=(1, 3, 161, 161)).astype(np.float32)
    for _ in range(2):
        assert graph.step(Batch(pictures, classes, np.ones((1, anchors, 4), np.float32)), 1e-3).finite
    after = graph.weights()
    assert after.keys() == start.parameters.keys() | start.statistics.keys()
    moved = {name for name, value in start.parameters.items() if (after[name].asnumpy() != value).any()}
    pretrained = moved & start.pretrained
    assert {name.split("_")[0] for name in pretrained} == {f"block{index}" for index in range(5, 16)}
    assert not any("depthwise" in name for name in moved)
    assert moved >= start.parameters.keys() - start.pretrained


def test_nothing_is_cut_where_nothing_is_frozen_from_the_start() -> None:
    network = build_network("tiny", 128, 2)
    assert split(network.symbol, frozenset()).trunk is None
    assert split(network.symbol, frozen_parameters(network.symbol, "box_head")).trunk is None


def test_a_pattern_without_end_is_refused_by_name_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested repetitions: the ways to divide a name among them double with every character."""
    monkeypatch.setattr("detector.freezing._SECONDS_TO_MATCH", 1)
    pattern = "^(([a-z0-9_])+)+$X"
    sentence = f"hyperparameter freeze_layer_pattern is {pattern!r}: matching it against the layers' names takes more"
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        frozen_parameters(build_network("tiny", 128, 2).symbol, pattern)
