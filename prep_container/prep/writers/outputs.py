"""Everything below prepared/: the channels in the plan's output, the held-out pictures, and the classes' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prep.model import LabelledPicture
from prep.writers import ChannelWriter, Destination, image_files, manifest, named, record_files
from prep.writers.class_names import class_ids, write_classes
from prep.writers.held_out import write_held_out

CHANNELS = ("train", "validation")
# By the plan's `output`.
CHANNEL_WRITERS: Mapping[str, ChannelWriter] = {
    "recordio": record_files,
    "image": image_files,
    "augmented-manifest": manifest,
}


def check_destination(output: str, prepared_uri: str) -> None:
    """Raise InvalidInputError where the output needs an address that is not given; ask before any work is done."""
    if output == "augmented-manifest":
        manifest.checked_uri(prepared_uri)


def write_prepared(
    shared: Mapping[str, Sequence[LabelledPicture]],
    classes: Sequence[str],
    output: str,
    prepared: Path,
    prepared_uri: str = "",
) -> None:
    """Write the three parts below `prepared`. The same pictures give the same bytes.

    Raises FileExistsError where two pictures of a part have the same name, which only the same picture with the same
    boxes has.
    """
    by_name = {side: named(pictures) for side, pictures in shared.items()}  # before anything is written
    destination = Destination(prepared, class_ids(classes), prepared_uri)
    for channel in CHANNELS:
        CHANNEL_WRITERS[output].write(by_name[channel], channel, destination)
    write_held_out(by_name["test"], destination.class_ids, prepared / "test")
    write_classes(classes, prepared)


def count_training_samples(output: str, prepared: Path) -> int:
    """Read back how many pictures were written to train on."""
    return CHANNEL_WRITERS[output].count("train", prepared)
