"""Load a channel's RecordIO file into memory, ready to be augmented again and again."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.pictures import read_picture
from detector.recordio import CorruptRecordError, Record, read_records
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

MAX_CORRUPT_SHARE = 0.1
CACHE_BYTES = 1 << 30  # decoded pictures beyond this are kept compressed and decoded at each use


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture, decoded (`pixels`) or compressed, and its boxes.

    Rows of class id, xmin, ymin, xmax, ymax (fractions).
    """

    labels: npt.NDArray[np.float32]
    compressed: bytes
    pixels: Image.Image | None

    def picture(self, largest_short_side: int) -> Image.Image:
        return self.pixels or shrunk(read_picture(self.compressed), largest_short_side)


def shrunk(picture: Image.Image, largest_short_side: int) -> Image.Image:
    """Return the picture with its shorter side at most this long."""
    scale = largest_short_side / min(picture.size)
    if scale >= 1:
        return picture
    return picture.resize(
        (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)), Image.Resampling.BILINEAR
    )


def load_channel(folder: Path, num_classes: int, largest_short_side: int, threads: int) -> list[Sample]:
    """Return the channel's samples in the file's order.

    Records and pictures that can't be read are counted, logged and left out. Raises InvalidInputError where more than a
    tenth is unreadable, where nothing is there, where no box is left, and where a class id is outside of
    0..num_classes-1.
    """
    files = sorted(folder.glob("**/*.rec"))
    if not files:
        raise InvalidInputError(f"channel {folder.name} has no .rec file")
    samples, corrupt = [], []
    budget = CACHE_BYTES
    with ThreadPoolExecutor(threads) as pool:
        for outcome in pool.map(lambda entry: _sample(entry, largest_short_side), _entries(files)):
            if isinstance(outcome, Sample):
                if outcome.pixels is not None:
                    budget -= outcome.pixels.width * outcome.pixels.height * 3
                samples.append(outcome if budget > 0 else Sample(outcome.labels, outcome.compressed, None))
            else:
                corrupt.append(outcome)
                LOG.warning(
                    "left out record %d of channel %s: %s", len(samples) + len(corrupt) - 1, folder.name, outcome
                )
    total = len(samples) + len(corrupt)
    if total == 0:
        raise InvalidInputError(
            f"channel {folder.name} is empty: no record in {', '.join(file.name for file in files)}"
        )
    if len(corrupt) > MAX_CORRUPT_SHARE * total:
        raise InvalidInputError(
            f"channel {folder.name}: {len(corrupt)} of {total} records cannot be read, the first because {corrupt[0]}"
        )
    classes = np.concatenate([sample.labels[:, 0] for sample in samples])
    if len(classes) == 0:
        raise InvalidInputError(f"channel {folder.name} has no usable box in any of its {len(samples)} pictures")
    if classes.min() < 0 or classes.max() >= num_classes:
        wrong = int(classes.max() if classes.max() >= num_classes else classes.min())
        raise InvalidInputError(
            f"channel {folder.name} has class id {wrong}, but num_classes is {num_classes} (ids 0 to {num_classes - 1})"
        )
    return samples


def _entries(files: list[Path]) -> Iterator[Record | CorruptRecordError]:
    for file in files:
        yield from read_records(file)


def _sample(entry: Record | CorruptRecordError, largest_short_side: int) -> Sample | Exception:
    if isinstance(entry, CorruptRecordError):
        return entry
    try:
        pixels = shrunk(read_picture(entry.picture), largest_short_side)
    except InvalidInputError as error:
        return error
    boxes = np.clip(entry.labels[:, 1:], 0, 1)
    usable = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # the built-in drops boxes without area as well
    return Sample(np.concatenate([entry.labels[:, :1], boxes], axis=1)[usable], entry.picture, pixels)
