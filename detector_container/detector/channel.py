"""Load a channel into memory, ready to be augmented again and again."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.channels.examples import MAX_UNUSABLE_SHARE, Entries, Example, Unusable
from detector.channels.image_files import read_image_files
from detector.channels.input_configuration import ChannelFormat, format_in
from detector.channels.named_pipe import NamedPipe, StoppedError
from detector.channels.pipe_channels import read_piped_attributes, read_piped_records
from detector.channels.record_files import read_record_files
from detector.memory import available_memory
from detector.pictures import read_picture
from dropspot.errors import InvalidInputError

LOG = logging.getLogger(__name__)

Fit = Callable[[Image.Image], Image.Image]  # brings a decoded picture to the size that is kept of it

CACHE_BYTES = 1 << 30  # decoded pictures beyond this are decoded at each use
PIPE_SHARE = 0.5  # of the memory available before: what a pipe's compressed pictures may take beyond CACHE_BYTES
_OUTSIDE = 0.05  # of a side: how far beyond the picture a box may reach and still be cut to it
_DIGEST_BYTES = 16
_AHEAD = 4  # pictures per thread that are read but not decoded yet


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and its boxes: rows of class id, xmin, ymin, xmax, ymax (fractions).

    The picture is decoded (`pixels`), or is decoded at each use from what `source` holds or reads. `digest` tells it
    from others by its bytes as they came, whether or not they are kept.
    """

    labels: npt.NDArray[np.float32]
    source: bytes | Callable[[], bytes] | None
    pixels: Image.Image | None
    digest: bytes = b""

    @property
    def compressed(self) -> bytes:
        """Return the picture as it came; raise ValueError where a pipe brought it and only its pixels are kept."""
        if self.source is None:
            raise ValueError("the picture came through a pipe and is only kept decoded")
        return self.source if isinstance(self.source, bytes) else self.source()

    def picture(self, fit: Fit) -> Image.Image:
        """Return the picture as `fit` makes it; one that is kept decoded was made by the fit of its channel."""
        return self.pixels or fit(read_picture(self.compressed))


def shrunk(picture: Image.Image, largest_short_side: int) -> Image.Image:
    """Return the picture with its shorter side at most this long."""
    scale = largest_short_side / min(picture.size)
    if scale >= 1:
        return picture
    return picture.resize(
        (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)), Image.Resampling.BILINEAR
    )


def load_channel(
    folder: Path,
    num_classes: int,
    fit: Fit,
    threads: int,
    *,
    label_width: int | None = None,
    channel_format: ChannelFormat | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Sample]:
    """Return the channel's samples in their order, whichever format they come in.

    `folder` is where the channel's files are or, for a format that comes through a pipe, would be; without a format the
    files decide it. What can't be read, or has boxes far outside its picture, is counted, logged and left out; so are
    single boxes without area. Pictures are kept decoded up to CACHE_BYTES, as `fit` makes them. Beyond that, those in
    files are read again at each use; those from a pipe are kept compressed, since it brings them once, up to PIPE_SHARE
    of the memory available at the beginning.

    Raises InvalidInputError where more than a tenth is unusable, where nothing is there, where no box is left, where a
    class id is outside of 0..num_classes-1, where a label has more values than `label_width`, where a pipe brings more
    than is kept, and as the readers do; StoppedError when `stop` says so, which is asked for each picture.
    """
    loaded = _Loaded(folder.name, int(PIPE_SHARE * available_memory()), label_width)
    with ExitStack() as stack:
        entries = _entries(folder, channel_format or format_in(folder), stop, stack)
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        waiting: deque[tuple[Example | Unusable, Future[_Decoded]]] = deque()
        for entry in entries:
            if stop():
                raise StoppedError
            waiting.append((entry, pool.submit(_decoded, entry, fit)))
            if len(waiting) > _AHEAD * threads:
                loaded.add(*waiting.popleft())
        while waiting:
            loaded.add(*waiting.popleft())
    return loaded.checked(num_classes)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture, already of the size that is kept, and the size it had before; or why it can't be used."""

    pixels: Image.Image | None
    size: tuple[int, int] = (0, 0)
    problem: str = ""
    digest: bytes = b""


@dataclass
class _Loaded:
    """The samples of a channel so far, and what is to be said of it in the end."""

    channel: str
    pipe_limit: int  # bytes
    label_width: int | None
    samples: list[Sample] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    too_wide: Example | None = None  # the first
    widest: int = 0
    decoded_bytes: int = 0
    piped_bytes: int = 0
    other_sizes: int = 0
    boxes: int = 0
    without_area: int = 0

    def add(self, entry: Example | Unusable, future: "Future[_Decoded]") -> None:
        decoded = future.result()
        if isinstance(entry, Example):
            self._measure(entry)
        if isinstance(entry, Unusable) or decoded.pixels is None:
            self.unusable.append(Unusable(entry.name, decoded.problem))
            LOG.warning("left out %s of channel %s: %s", entry.name, self.channel, decoded.problem)
            return
        self.other_sizes += entry.stated_size not in (None, decoded.size)
        self.decoded_bytes += decoded.pixels.width * decoded.pixels.height * 3
        boxes = np.clip(entry.labels[:, 1:], 0, 1)
        # The built-in drops boxes without area as well.
        usable = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        self.boxes += len(boxes)
        self.without_area += len(boxes) - int(usable.sum())
        labels = np.concatenate([entry.labels[:, :1], boxes], axis=1)[usable]
        if self.decoded_bytes < CACHE_BYTES:
            self.samples.append(Sample(labels, entry.stored, decoded.pixels, decoded.digest))
            return
        if entry.stored is None:
            self._hold(len(entry.picture))
        self.samples.append(Sample(labels, entry.stored or entry.picture, None, decoded.digest))

    def checked(self, num_classes: int) -> list[Sample]:
        """Return the samples; raise InvalidInputError where they can't be trained on."""
        total = len(self.samples) + len(self.unusable)
        if self.too_wide is not None:
            raise InvalidInputError(
                f"channel {self.channel}: the label of {self.too_wide.name} has {self.too_wide.label_width} values, but"
                f" hyperparameter label_width is {self.label_width}: set it to {self.widest} or more"
            )
        if len(self.unusable) > MAX_UNUSABLE_SHARE * total:
            first = self.unusable[0]
            raise InvalidInputError(
                f"channel {self.channel}: {len(self.unusable)} of {total} pictures cannot be used, the first"
                f" ({first.name}) because {first.reason}"
            )
        if self.other_sizes:
            LOG.warning(
                "channel %s: %d pictures have another size than their image_size, which their boxes are divided by",
                self.channel,
                self.other_sizes,
            )
        if self.without_area:
            LOG.warning(
                "channel %s: %d of %d boxes have no area and are left out", self.channel, self.without_area, self.boxes
            )
        classes = np.concatenate([sample.labels[:, 0] for sample in self.samples])
        if len(classes) == 0:
            raise InvalidInputError(
                f"channel {self.channel} has no usable box in any of its {len(self.samples)} pictures"
            )
        if classes.min() < 0 or classes.max() >= num_classes:
            wrong = int(classes.max() if classes.max() >= num_classes else classes.min())
            raise InvalidInputError(
                f"channel {self.channel} has class id {wrong}, but num_classes is {num_classes}"
                f" (ids 0 to {num_classes - 1})"
            )
        return self.samples

    def _measure(self, entry: Example) -> None:
        """Note how wide the label is: the built-in fails a job for one that is too wide, so nothing is left out."""
        self.widest = max(self.widest, entry.label_width)
        if self.too_wide is None and self.label_width is not None and entry.label_width > self.label_width:
            self.too_wide = Example(entry.name, entry.labels, entry.label_width, b"")

    def _hold(self, size: int) -> None:
        """Count a compressed picture that a pipe brought and that stays in memory."""
        self.piped_bytes += size
        if self.piped_bytes > self.pipe_limit:
            raise InvalidInputError(
                f"channel {self.channel} brings more through its pipe than the {self.pipe_limit / 2**20:,.0f} MiB that"
                " are kept of it: use input mode File or FastFile, which leave the pictures on the disk"
            )


def _entries(folder: Path, channel_format: ChannelFormat, stop: Callable[[], bool], stack: ExitStack) -> Entries:
    if channel_format is ChannelFormat.RECORD_FILES:
        return read_record_files(folder)
    if channel_format is ChannelFormat.IMAGE_FILES:
        return read_image_files(folder)
    pipe = stack.enter_context(NamedPipe(folder, stop))
    if channel_format is ChannelFormat.PIPED_RECORDS:
        return read_piped_records(folder.name, pipe)
    return read_piped_attributes(folder.name, pipe)


def _decoded(entry: Example | Unusable, fit: Fit) -> _Decoded:
    if isinstance(entry, Unusable):
        return _Decoded(None, problem=entry.reason)
    coordinates = entry.labels[:, 1:]
    if (coordinates < -_OUTSIDE).any() or (coordinates > 1 + _OUTSIDE).any():
        return _Decoded(None, problem="its coordinates are not fractions")
    try:
        picture = read_picture(entry.picture)
    except InvalidInputError as error:
        return _Decoded(None, problem=str(error))
    digest = hashlib.blake2b(entry.picture, digest_size=_DIGEST_BYTES).digest()
    return _Decoded(fit(picture), picture.size, digest=digest)
