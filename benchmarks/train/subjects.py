"""What is measured: a training of each network as the project's recipe has it, on photo-like pictures in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from detector.anchors import anchor_boxes
from detector.batches import Batch, Batches, training_fit
from detector.channel import Sample
from detector.initial_weights import initial_weights
from detector.networks import build_network
from detector.pretrained import load_weights
from detector.settings import Settings
from detector.training_graph import TrainingGraph
from dropspot import hyperparameters

CLASSES, PICTURES = 2, 64  # as many different pictures; an epoch has them over and over
LEARNING_RATE = 1e-4  # the speed doesn't depend on it; small, so that no weight grows beyond all numbers


@dataclass(frozen=True, slots=True)
class Trained:
    """A training in progress."""

    graph: TrainingGraph
    batches: Batches

    def step(self, batch: Batch) -> None:
        if not self.graph.step(batch, LEARNING_RATE).finite:
            raise ArithmeticError("the loss is not a finite number: such steps skip their backward pass")


@dataclass(frozen=True, slots=True)
class Subject:
    """A network and the least ratio that is required of it."""

    name: str
    required: float

    @property
    def settings(self) -> Settings:
        recipe = hyperparameters.recipe("detector", PICTURES, self.name)
        return Settings.from_strings(recipe | {"num_classes": str(CLASSES), "num_training_samples": str(PICTURES)})

    @property
    def side(self) -> int:
        return self.settings.image_shape

    @property
    def batch(self) -> int:
        return self.settings.mini_batch_size

    def trained(self, batches: int) -> Trained:
        """Return a training whose epochs have so many batches."""
        settings = self.settings
        network = build_network(settings.base_network, settings.image_shape, CLASSES)
        weights = load_weights() if network.pretrained else {}
        rng = np.random.default_rng(0)
        different = [_sample(rng, settings.image_shape) for _ in range(PICTURES)]
        count = batches * settings.mini_batch_size
        return Trained(
            TrainingGraph(network, settings, initial_weights(network, settings.seed, weights)),
            Batches(
                samples=[different[index % PICTURES] for index in range(count)],
                anchors=anchor_boxes(network.levels),
                side=settings.image_shape,
                mean=network.mean,
                deviation=network.deviation,
                size=settings.mini_batch_size,
                seed=settings.seed,
            ),
        )


def _sample(rng: np.random.Generator, side: int) -> Sample:
    """A picture of 500 x 375, as most of the Pascal VOC challenge's, with two boxes, cached as a channel caches it."""
    coarse = Image.fromarray(rng.integers(0, 255, (15, 20, 3), np.uint8))
    picture = coarse.resize((500, 375), Image.Resampling.BICUBIC)
    corners = rng.uniform(0, 0.6, (2, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.15, 0.4, (2, 2))], axis=1)
    labels = np.concatenate([[[0], [1]], boxes], axis=1).astype(np.float32)
    return Sample(labels, None, training_fit(side)(picture))


SUBJECTS = {one.name: one for one in (Subject("efficientnet-lite0", 0.9), Subject("tiny", 0.8))}
