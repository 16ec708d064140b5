"""ImageNet weights from the channel `pretrained`: each published kind is recognised, mapped and prepared for."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from reference_networks import drawn_resnet50, drawn_vgg16_features, resnet50_layer4, vgg16_features
from written_weights import Strided, write_state_dict

from detector.initial_weights import as_ndarrays, initial_weights, parameter_shapes
from detector.networks import Network, build_network
from detector.pretrained_channel import PretrainedTrunk, read_pretrained
from detector.settings import Settings
from detector.starting_point import starting_point
from dropspot.errors import InvalidInputError

IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIDE = 64


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    folder = tmp_path / "pretrained"
    folder.mkdir()
    return folder


def inner_answer(network: Network, given: PretrainedTrunk, output: str, picture: np.ndarray) -> np.ndarray:
    """What one layer within the network answers to a picture (3, S, S), of any side."""
    symbol = network.symbol.get_internals()[output]
    start = initial_weights(network, 0, given.weights)
    weights = as_ndarrays(start.parameters | start.statistics)
    executor = symbol.bind(
        mx.cpu(),
        args={name: weights[name] for name in symbol.list_arguments() if name != "data"}
        | {"data": mx.nd.array(picture[None])},
        aux_states={name: weights[name] for name in symbol.list_auxiliary_states()},
        grad_req="null",
    )
    return executor.forward(is_train=False)[0].asnumpy()[0]


def picture() -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (3, SIDE, SIDE)).astype(np.float32)


def test_torchvisions_resnet50_computes_what_torchvision_does(channel: Path) -> None:
    state = drawn_resnet50(np.random.default_rng(1))
    write_state_dict(channel / "resnet50-weights.pth", state)
    given = read_pretrained(channel, "resnet-50")
    assert (given.source, given.trunk) == ("torchvision's resnet50", "post-activation")
    assert (given.mean, given.deviation) == IMAGENET
    network = build_network("resnet-50", 300, 2, given.trunk)
    ours = inner_answer(network, given, "stage4_unit3_relu_output", picture())
    theirs = resnet50_layer4(state, picture())
    assert theirs.std() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * float(theirs.max()))


def torchvision_vgg16() -> dict[str, np.ndarray | Strided]:
    """Its classifier has 120 million weights: here each is the sum of its two places, from few numbers."""
    count = 4096 + 25088
    ramp = np.arange(count, dtype=np.float32)
    return drawn_vgg16_features(np.random.default_rng(2)) | {
        "classifier.0.weight": Strided(ramp, (4096, 25088), (1, 1)),
        "classifier.0.bias": ramp[:4096],
        "classifier.3.weight": Strided(ramp, (4096, 4096), (2, 1)),
        "classifier.3.bias": ramp[:4096] * 2,
        "classifier.6.weight": Strided(ramp, (1000, 4096), (0, 0)),
        "classifier.6.bias": ramp[:1000],
    }


def test_torchvisions_vgg16_computes_what_torchvision_does_and_its_classifier_is_subsampled(channel: Path) -> None:
    state = torchvision_vgg16()
    write_state_dict(channel / "vgg16.pth", state)
    given = read_pretrained(channel, "vgg-16")
    assert (given.source, given.trunk) == ("torchvision's vgg16", "")
    assert (given.mean, given.deviation) == IMAGENET

    ours = inner_answer(build_network("vgg-16", 300, 2), given, "relu5_3_output", picture())
    theirs = vgg16_features({name: value for name, value in state.items() if "features" in name}, picture())
    assert theirs.std() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * float(theirs.max()))

    out, into, row, column = (7, 11, 1, 2)  # the weight of fc6's output 28, input channel 11, row 3 and column 6 of 7
    assert given.weights["fc6_weight"].shape == (1024, 512, 3, 3)
    assert given.weights["fc6_weight"][out, into, row, column] == 4 * out + into * 49 + 3 * row * 7 + 3 * column
    assert given.weights["fc7_weight"].shape == (1024, 1024, 1, 1)
    assert given.weights["fc7_weight"][out, into, 0, 0] == 2 * 4 * out + 4 * into
    assert given.weights["fc6_bias"].tolist() == list(range(0, 4096, 4))
    assert given.weights["fc7_bias"].tolist() == list(range(0, 8192, 8))


def mxnet_weights(base_network: str, data_mean: float = 120.0) -> dict[str, np.ndarray]:
    """Arrays of MXNet's names and shapes for a trunk, each filled with a number of its own."""
    parameters, statistics = parameter_shapes(build_network(base_network, 300, 1))
    shapes = {
        f"{'aux' if name in statistics else 'arg'}:{name}": shape
        for name, shape in (parameters | statistics).items()
        if not re.match(r"multi_feat|relu\d|_plus", name)
    }
    weights = {name: np.full(shape, place + 1, np.float32) for place, (name, shape) in enumerate(shapes.items())}
    if "aux:bn_data_moving_mean" in weights:
        weights["aux:bn_data_moving_mean"][:] = data_mean
    return weights


def write_params(path: Path, weights: dict[str, np.ndarray]) -> Path:
    mx.nd.save(str(path), {name: mx.nd.array(value) for name, value in weights.items()})
    return path


@pytest.mark.parametrize(
    ("base_network", "data_mean", "source", "trunk", "pictures"),
    [
        ("vgg-16", 0, "MXNet's vgg16_reduced", "", ((123.68, 116.779, 103.939), (1, 1, 1))),
        ("resnet-50", 120, "MXNet's resnet-50", "pre-activation", ((0, 0, 0), (1, 1, 1))),
        ("resnet-50", 2, "MXNet's resnet-50", "pre-activation", ((123.68, 116.779, 103.939), (1, 1, 1))),
    ],
)
def test_mxnets_own_weights_are_taken_by_name(
    channel: Path, base_network: str, data_mean: float, source: str, trunk: str, pictures: tuple[object, object]
) -> None:
    weights = mxnet_weights(base_network, data_mean)
    write_params(channel / "weights-0000.params", weights | {"arg:fc8_weight": np.zeros((1000, 1024, 1, 1))})
    given = read_pretrained(channel, base_network)
    assert (given.source, given.trunk, (given.mean, given.deviation)) == (source, trunk, pictures)
    assert given.weights.keys() == {name.split(":")[1] for name in weights}
    for name, value in weights.items():
        np.testing.assert_array_equal(given.weights[name.split(":")[1]], value)


def settings(**given: str) -> Settings:
    return Settings.from_strings({"num_classes": "2", "num_training_samples": "8", "base_network": "resnet-50"} | given)


def test_the_network_is_prepared_for_what_its_weights_expect(channel: Path) -> None:
    write_params(channel / "resnet-50-0000.params", mxnet_weights("resnet-50"))
    start = starting_point(settings(), channel, channel.parent / "model")
    assert (start.network.mean, start.network.deviation) == ((0, 0, 0), (1, 1, 1))
    assert (start.weights.statistics["bn_data_moving_mean"] == 120).all()
    assert start.weights.pretrained == frozenset()  # the built-in has one learning rate
    assert start.origin == "MXNet's resnet-50 of channel pretrained"


def test_without_the_channel_a_sentence_says_what_to_do(channel: Path) -> None:
    wanted = (
        r"use_pretrained_model is 1, .* base_network resnet-50: give a channel `pretrained` with torchvision's \.pth "
        r"or MXNet's \.params file of it, or set use_pretrained_model to 0$"
    )
    for folder in (channel, channel / "absent" / "pretrained"):
        with pytest.raises(InvalidInputError, match=wanted):
            starting_point(settings(), folder, channel / "model")
    start = starting_point(settings(use_pretrained_model="0"), channel, channel / "model")
    assert start.origin == "drawn weights"
    assert start.network.trunk == "pre-activation"


def without(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        weights = mxnet_weights("resnet-50")
        del weights[name]
        write_params(folder / "w.params", weights)

    return write


def with_shape(name: str, shape: tuple[int, ...]) -> Callable[[Path], None]:
    return lambda folder: write_params(folder / "w.params", mxnet_weights("resnet-50") | {name: np.zeros(shape)})


def infinite(folder: Path) -> None:
    weights = mxnet_weights("resnet-50")
    weights["arg:conv0_weight"][0] = np.inf
    write_params(folder / "w.params", weights)


def truncated(folder: Path) -> None:
    path = write_params(folder / "w.params", mxnet_weights("resnet-50"))
    path.write_bytes(path.read_bytes()[:100_000])


def old_archive(folder: Path) -> None:
    (folder / "note").write_text("x")
    with tarfile.open(folder / "w.pth", "w") as archive:
        archive.add(folder / "note", "sys_info")
    (folder / "note").unlink()


def two_files(folder: Path) -> None:
    for name in ("a.pth", "b.pth"):
        (folder / name).write_text("x")


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (without("arg:stage2_unit1_sc_weight"), "w.params is not whole: it has no tensor stage2_unit1_sc_weight"),
        (with_shape("aux:bn0_moving_var", (3,)), r"bn0_moving_var has shape \(3,\), not \(64,\)"),
        (infinite, "conv0_weight has values that are not finite"),
        (truncated, "not a whole file of MXNet's parameters"),
        (old_archive, "w.pth is a tar archive"),
        (two_files, "has 2 files"),
        (lambda folder: (folder / "w.pth").write_text("hello"), "neither a PyTorch state dictionary nor"),
        (lambda folder: write_state_dict(folder / "w.pth", {"a": np.zeros(2, np.float32)}), "w.pth is none of torch"),
        (lambda folder: write_params(folder / "w.params", mxnet_weights("vgg-16")), "which fits base_network vgg-16"),
    ],
)
def test_another_file_is_refused_in_one_sentence(
    channel: Path, write: Callable[[Path], object], complaint: str
) -> None:
    write(channel)
    with pytest.raises(InvalidInputError, match=rf"^channel pretrained.*{complaint}") as refusal:
        read_pretrained(channel, "resnet-50")
    assert "\n" not in str(refusal.value)
