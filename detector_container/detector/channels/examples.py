"""What every reader of a channel yields: a picture with its boxes, or the reason why there is none in its place."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_UNUSABLE_SHARE = 0.1  # of a channel; with more than this left out, training would be on another data set


@dataclass(frozen=True, slots=True)
class Example:
    """One picture, compressed, and its boxes.

    `name` tells it from the channel's others in a message. `labels` has a row of class id, xmin, ymin, xmax, ymax
    (fractions) per box. `label_width` is how many values its label has in a RecordIO file: what hyperparameter
    label_width limits. `stored` reads the picture's bytes once more, None where they came through a pipe. `stated_size`
    is the (width, height) that the boxes' pixels were divided by, None where they were fractions from the start.
    """

    name: str
    labels: npt.NDArray[np.float32]
    label_width: int
    picture: bytes
    stored: Callable[[], bytes] | None = None
    stated_size: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something in a channel that can't be trained on."""

    name: str
    reason: str


Entries = Iterator[Example | Unusable]
