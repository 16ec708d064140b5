"""Turn samples into batches of arrays while the network is busy with the batch before."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.augment import WHOLE, augmented, cut_out
from detector.channel import Fit, Sample, shrunk
from detector.targets import picture_targets

Floats = npt.NDArray[np.float32]

_AHEAD = 3  # batches prepared beyond the one in use
CACHED_SIDE = 1.5  # cached pictures' shorter side over the network's: a crop still has pixels to show


@dataclass(frozen=True, slots=True)
class Batch:
    """B pictures (B, 3, S, S) with what each of N anchors should answer: classes (B, N), offsets (B, N, 4)."""

    pictures: Floats
    classes: npt.NDArray[np.int64]
    offsets: Floats


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several hosts trains on: its part of every step's pictures, which all have; or all of its own.

    `batches` says how many of an epoch every host makes where each has pictures of its own.
    """

    place: int = 0
    hosts: int = 1
    batches: int = 0

    @property
    def own_pictures(self) -> bool:
        return self.batches > 0


@dataclass(frozen=True, slots=True)
class Batches:
    """Makes the batches of a training.

    Every random choice follows from seed, epoch and place, whichever thread or host makes it.
    """

    samples: Sequence[Sample]
    anchors: Floats
    side: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    size: int
    seed: int
    share: Share = Share()

    @property
    def per_epoch(self) -> int:
        return self.share.batches or -(-len(self.samples) // (self.size * self.share.hosts))

    def of_epoch(self, epoch: int, threads: int, first: int = 0) -> Iterator[Batch]:
        """Yield the epoch's batches from the `first` on.

        An epoch has every sample once, in random order; its last batch is filled up from the front. Hosts that have the
        same samples divide each step's among them, in one order.
        """
        share, step = self.share, self.size * self.share.hosts
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
        if share.own_pictures:
            order = np.resize(order, (self.per_epoch, self.size))
        else:
            order = np.resize(order, (self.per_epoch, share.hosts, self.size))[:, share.place]
        waiting: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(threads)
        try:
            for index in range(first, self.per_epoch):
                waiting.append(pool.submit(self._batch, epoch, index * step + share.place * self.size, order[index]))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)  # also when the training stops half way through the epoch

    def _batch(self, epoch: int, start: int, chosen: npt.NDArray[np.int64]) -> Batch:
        fit = training_fit(self.side)
        fill = (round(self.mean[0]), round(self.mean[1]), round(self.mean[2]))
        pictures = np.empty((len(chosen), 3, self.side, self.side), np.float32)
        classes, offsets = [], []
        for row, index in enumerate(chosen):
            rng = np.random.default_rng((self.seed, epoch, start + row))
            sample = self.samples[index]
            variant, labels = augmented(sample.picture(fit), sample.labels, self.side, fill, rng)
            pictures[row] = normalised(variant, self.mean, self.deviation)
            sample_classes, sample_offsets = picture_targets(self.anchors, labels)
            classes.append(sample_classes)
            offsets.append(sample_offsets.astype(np.float32))
        return Batch(pictures, np.stack(classes), np.stack(offsets))


def training_fit(side: int) -> Fit:
    """Return how a picture to train on is kept for a network of that side."""
    return partial(shrunk, largest_short_side=round(side * CACHED_SIDE))


def validation_fit(side: int) -> Fit:
    """Return how a picture to validate on is kept for a network of that side: as `network_input` has it.

    From the whole picture at once, as in serving: one that was shrunk before gives other pixels and another score.
    """
    return partial(squashed, side=side)


def squashed(picture: Image.Image, side: int) -> Image.Image:
    """Return an RGB picture as the network's square; one that is that square already as it is."""
    return cut_out(picture, WHOLE, side, (0, 0, 0))


def network_input(picture: Image.Image, side: int, mean: Sequence[float], deviation: Sequence[float]) -> Floats:
    """Return an RGB picture squashed to the network's square, (3, side, side): what evaluation and serving feed."""
    return normalised(squashed(picture, side), mean, deviation)


def normalised(picture: Image.Image, mean: Sequence[float], deviation: Sequence[float]) -> Floats:
    """Return an RGB picture's pixels, (3, height, width), less the channels' mean, over their deviation."""
    values = np.empty((3, picture.height, picture.width), np.float32)
    scales = np.reciprocal(np.asarray(deviation, np.float32))
    shifts = np.asarray(mean, np.float32) * scales
    # Pillow takes the channels apart several times as fast as numpy transposes their bytes.
    for index, channel in enumerate(picture.split()):
        np.multiply(np.asarray(channel), scales[index], out=values[index], dtype=np.float32)
        values[index] -= shifts[index]
    return values
