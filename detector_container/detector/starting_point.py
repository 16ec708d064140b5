"""What a training starts from: an earlier model, ImageNet weights, or nothing but drawn numbers."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector.anchors import with_shapes_of
from detector.initial_weights import InitialWeights, initial_weights
from detector.model_channel import matching_weights, read_model, refuse_other_settings
from detector.networks import Network, build_network
from detector.pretrained import load_weights
from detector.pretrained_channel import read_pretrained
from detector.settings import Settings

_WEIGHTS_FROM_CHANNEL = ("vgg-16", "resnet-50")  # the built-in's networks: pretrained_channel.py


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A network, prepared for its pictures as its weights ask for, and those weights."""

    network: Network
    weights: InitialWeights
    origin: str  # where the weights come from, for the log and the model card
    knows_anchors: bool = False  # the weights answer for the network's anchors, and for no others

    @property
    def digest(self) -> str:
        """Tell this start from others: by all of its weights, and by how pictures are prepared for them."""
        digest = hashlib.sha256(repr((self.network.mean, self.network.deviation)).encode())
        for name, values in sorted((self.weights.parameters | self.weights.statistics).items()):
            digest.update(name.encode() + np.ascontiguousarray(values, np.float32).tobytes())
        return digest.hexdigest()


def starting_point(settings: Settings, pretrained: Path, model: Path) -> StartingPoint:
    """Return where the training starts.

    `pretrained` and `model` are the folders of those channels. An earlier model takes precedence over ImageNet weights.
    Raises InvalidInputError where a channel is missing or does not fit the hyperparameters.
    """
    earlier = read_model(model)
    if earlier is not None:
        refuse_other_settings(earlier, settings)
        known = earlier.description
        network = build_network(settings.base_network, settings.image_shape, settings.num_classes, known.trunk)
        weights = initial_weights(network, settings.seed, matching_weights(earlier, network), one_rate=True)
        levels = with_shapes_of(network.levels, known.anchors)
        network = replace(network, mean=known.mean, deviation=known.deviation, levels=levels)
        return StartingPoint(network, weights, f"the model of channel model (its epoch {known.best_epoch})", True)
    if settings.use_pretrained_model and settings.base_network in _WEIGHTS_FROM_CHANNEL:
        given = read_pretrained(pretrained, settings.base_network)
        network = build_network(settings.base_network, settings.image_shape, settings.num_classes, given.trunk)
        network = replace(network, mean=given.mean, deviation=given.deviation)
        # The built-in has one learning rate for all of a network, that of the hyperparameter.
        weights = initial_weights(network, settings.seed, given.weights, one_rate=True)
        return StartingPoint(network, weights, f"{given.source} of channel pretrained")
    network = build_network(settings.base_network, settings.image_shape, settings.num_classes)
    if settings.use_pretrained_model and network.pretrained:
        weights = initial_weights(network, settings.seed, load_weights())
        return StartingPoint(network, weights, "the container's ImageNet weights")
    return StartingPoint(network, initial_weights(network, settings.seed, {}), "drawn weights")
