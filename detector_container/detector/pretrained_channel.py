"""ImageNet weights for `vgg-16` and `resnet-50` from the optional channel `pretrained`: nothing is ever downloaded.

A file is recognised by its content, not its name:

- torchvision's state dictionary of `vgg16` (.pth), for `vgg-16`: pictures (R, G, B on 0..255) less (123.675, 116.28,
  103.53), over (58.395, 57.12, 57.375);
- torchvision's state dictionary of `resnet50` (.pth), for `resnet-50` with the post-activation trunk: the same;
- MXNet's `vgg16_reduced` (.params), for `vgg-16`: pictures less (123.68, 116.779, 103.939), the SSD example's mean;
- MXNet's model zoo's `resnet-50` (.params), for `resnet-50` with the pre-activation trunk: pictures as they are.

The last is what the image classification example's README says ("our Resnet does not need to specify the RGB mean due
the data batch normalization layer"). A `resnet-50` from a detector of the SSD example has been fed pictures less that
example's mean, which `bn_data`'s own mean near 0 gives away.
"""

import re
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mxnet as mx
import numpy as np
import numpy.typing as npt

from detector import efficientnet, resnet, vgg
from detector.checkpoint_reader import CheckpointError, read_state_dict
from detector.initial_weights import parameter_shapes
from detector.networks import build_network
from dropspot.errors import InvalidInputError

Array = npt.NDArray[np.float32]
Triple = tuple[float, float, float]

_TORCHVISION = efficientnet.MEAN, efficientnet.DEVIATION
_SSD_EXAMPLE: tuple[Triple, Triple] = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
_AS_THEY_ARE: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

_PIXELS_CENTRED = 30.0  # the mean of pixels on 0..255 lies well above, of those less ImageNet's mean well below
_ND_ARRAYS = struct.pack("<Q", 0x112)  # how a file of MXNet's arrays begins
_ANY_SHAPE = 300  # a trunk's parameters are of the same shape for every picture


@dataclass(frozen=True, slots=True)
class PretrainedTrunk:
    """A trunk's weights and statistics under this project's names, and what goes with them."""

    source: str  # what the file was recognised as
    trunk: str  # see resnet.py
    mean: Triple
    deviation: Triple
    weights: dict[str, Array]


@dataclass(frozen=True, slots=True)
class _Publication:
    """One kind of published weights: how it is recognised, what it fits and how its tensors are called there."""

    source: str
    base_network: str
    trunk: str
    marks: frozenset[str]  # tensors that only this kind has
    pictures: tuple[Triple, Triple]
    theirs: Callable[[str], str]  # their name of one of our parameters
    reduce: Mapping[str, "_Reduction"]


@dataclass(frozen=True, slots=True)
class _Reduction:
    """A tensor that is cut down before use: the shape it is published in, and how it becomes ours."""

    shape: tuple[int, ...]
    reduced: Callable[[Array], Array]


def read_pretrained(folder: Path, base_network: str) -> PretrainedTrunk:
    """Return the channel's weights; raise InvalidInputError where it has none that fit `base_network`."""
    name = folder.name
    files = sorted(path for path in folder.glob("**/*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise InvalidInputError(
            f"hyperparameter use_pretrained_model is 1, but the container carries no ImageNet weights for base_network "
            f"{base_network}: give a channel `{name}` with torchvision's .pth or MXNet's .params file of it, "
            "or set use_pretrained_model to 0"
        )
    if len(files) > 1:
        raise InvalidInputError(f"channel {name} has {len(files)} files, not one file of weights")
    tensors = _read(files[0], name)
    known = next((kind for kind in _PUBLICATIONS if kind.marks <= tensors.keys()), None)
    if known is None:
        kinds = ", ".join(kind.source for kind in _PUBLICATIONS)
        raise InvalidInputError(f"channel {name}: {files[0].name} is none of {kinds}")
    if known.base_network != base_network:
        raise InvalidInputError(
            f"channel {name}: {files[0].name} is {known.source}, which fits base_network {known.base_network}, "
            f"not {base_network}"
        )
    try:
        weights = _converted(known, tensors)
    except ValueError as error:
        raise InvalidInputError(f"channel {name}: {files[0].name} is not whole: {error}") from error
    mean, deviation = _pictures(known, weights)
    return PretrainedTrunk(known.source, known.trunk, mean, deviation, weights)


def _pictures(kind: _Publication, weights: Mapping[str, Array]) -> tuple[Triple, Triple]:
    seen = weights.get("bn_data_moving_mean")
    if seen is not None and abs(float(seen.mean())) < _PIXELS_CENTRED:
        return _SSD_EXAMPLE
    return kind.pictures


def _read(path: Path, channel: str) -> dict[str, npt.NDArray[np.generic]]:
    with path.open("rb") as stream:
        head = stream.read(len(_ND_ARRAYS))
    if head == _ND_ARRAYS:
        return dict(read_params(path.read_bytes(), f"channel {channel}: {path.name}"))
    if tarfile.is_tarfile(path) and not zipfile.is_zipfile(path):
        raise InvalidInputError(
            f"channel {channel}: {path.name} is a tar archive, as PyTorch wrote them until 2016: give the file's later "
            "publication or save it again with a current PyTorch"
        )
    try:
        return read_state_dict(path)
    except CheckpointError as error:
        raise InvalidInputError(
            f"channel {channel}: {path.name} is neither a PyTorch state dictionary nor MXNet's .params ({error})"
        ) from error


def read_params(data: bytes, what: str) -> dict[str, Array]:
    """Return the arrays of one of MXNet's .params files without their prefixes `arg:` and `aux:`.

    Raises InvalidInputError, which begins with `what`, for anything else.
    """
    try:
        arrays = mx.nd.load_frombuffer(data)
    except mx.base.MXNetError as error:
        raise InvalidInputError(f"{what} is not a whole file of MXNet's parameters") from error
    if not isinstance(arrays, dict):
        raise InvalidInputError(f"{what} has parameters without names")
    return {name.split(":", 1)[-1]: value.asnumpy() for name, value in arrays.items()}


def _converted(kind: _Publication, tensors: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Array]:
    network = build_network(kind.base_network, _ANY_SHAPE, 1, kind.trunk)
    parameters, statistics = parameter_shapes(network)
    weights = {}
    for name, shape in (parameters | statistics).items():
        if not of_the_trunk(name):
            continue
        theirs = kind.theirs(name)
        reduction = kind.reduce.get(name)
        published = reduction.shape if reduction else shape
        if theirs not in tensors:
            raise ValueError(f"it has no tensor {theirs}")
        if tensors[theirs].shape != published:
            raise ValueError(f"{theirs} has shape {tensors[theirs].shape}, not {published}")
        values = tensors[theirs].astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(f"{theirs} has values that are not finite numbers")
        weights[name] = np.ascontiguousarray(reduction.reduced(values)) if reduction else values
    return weights


def of_the_trunk(name: str) -> bool:
    """Return whether a parameter of `vgg-16` or `resnet-50` is the trunk's, not the extra layers' or the heads'."""
    return re.match(r"multi_feat_|relu\d|_plus", name) is None


def _torchvision_vgg(name: str) -> str:
    layer, _, kind = name.rpartition("_")
    if layer in ("fc6", "fc7"):
        return f"classifier.{0 if layer == 'fc6' else 3}.{kind}"
    group, repeat = (int(part) for part in layer.removeprefix("conv").split("_"))
    # `features` counts a convolution and its ReLU as two places, a pooling as one
    place = sum(2 * repeats + 1 for repeats, _ in vgg.GROUPS[: group - 1]) + 2 * (repeat - 1)
    return f"features.{place}.{kind}"


_NORM_KINDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var"}


def _torchvision_resnet(name: str) -> str:
    match = re.fullmatch(r"(?:stage(\d)_unit(\d)_)?(\w+?)_(weight|gamma|beta|moving_mean|moving_var)", name)
    if match is None:
        raise ValueError(f"{name} is no parameter of ResNet-50's trunk")
    stage, unit, layer, kind = match.groups()
    layer = {"conv0": "conv1", "bn0": "bn1", "sc": "downsample.0", "sc_bn": "downsample.1"}.get(layer, layer)
    block = f"layer{stage}.{int(unit) - 1}." if stage else ""
    return f"{block}{layer}.{_NORM_KINDS.get(kind, kind)}"


# DeepLab's way, which the SSD paper follows (section 3): every fourth output, and in fc6, whose kernel becomes 3x3 with
# a dilation, every third row and column of its 7x7; fc7 keeps the inputs that fc6 still has.
_FC = 4096
_SUBSAMPLED = {
    "fc6_weight": _Reduction((_FC, 512 * 7 * 7), lambda values: values.reshape(_FC, 512, 7, 7)[::4, :, ::3, ::3]),
    "fc6_bias": _Reduction((_FC,), lambda values: values[::4]),
    "fc7_weight": _Reduction((_FC, _FC), lambda values: values[::4, ::4, None, None]),
    "fc7_bias": _Reduction((_FC,), lambda values: values[::4]),
}

_PUBLICATIONS = (
    _Publication(
        "torchvision's vgg16",
        "vgg-16",
        "",
        frozenset({"features.28.weight", "classifier.0.weight"}),
        _TORCHVISION,
        _torchvision_vgg,
        _SUBSAMPLED,
    ),
    _Publication(
        "torchvision's resnet50",
        "resnet-50",
        resnet.POST_ACTIVATION,
        frozenset({"layer3.5.conv3.weight", "layer4.0.downsample.0.weight"}),
        _TORCHVISION,
        _torchvision_resnet,
        {},
    ),
    _Publication(
        "MXNet's vgg16_reduced",
        "vgg-16",
        "",
        frozenset({"conv1_1_weight", "fc7_weight"}),
        _SSD_EXAMPLE,
        str,
        {},
    ),
    _Publication(
        "MXNet's resnet-50",
        "resnet-50",
        resnet.PRE_ACTIVATION,
        frozenset({"bn_data_moving_mean", "stage4_unit3_conv3_weight"}),
        _AS_THEY_ARE,
        str,
        {},
    ),
)
