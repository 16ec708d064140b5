"""Channels as RecordIO: `<channel>.rec`, `.idx` and the `.lst` that im2rec would pack into the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prep.boxes import DECIMALS
from prep.model import LabelledPicture
from prep.recordio import RecordWriter, packed_label, read_records
from prep.writers import Destination, Named

HEADER_WIDTH = 2
OBJECT_WIDTH = 5


def detection_label(picture: LabelledPicture, class_ids: Mapping[str, int]) -> list[float]:
    """Header width, object width, then class id and corners (fractions) of each box."""
    label: list[float] = [HEADER_WIDTH, OBJECT_WIDTH]
    for box in picture.boxes:
        label += [class_ids[box.name], *box.corners]
    return label


def write(pictures: Named, channel: str, destination: Destination) -> None:
    """Write the three files of one channel, in the order of `pictures`."""
    folder = destination.folder / channel
    folder.mkdir(parents=True, exist_ok=True)
    lst_path = folder / f"{channel}.lst"
    with (
        RecordWriter(folder / f"{channel}.rec", folder / f"{channel}.idx") as records,
        lst_path.open("w", encoding="utf-8", newline="\n") as lst,
    ):
        for number, (name, picture) in enumerate(pictures.items()):
            label = detection_label(picture, destination.class_ids)
            records.write_with_file(number, packed_label(number, label), picture.payload)
            floats = "\t".join(f"{value:.{DECIMALS}f}" for value in label)
            lst.write(f"{number}\t{floats}\t{name}\n")


def count(channel: str, folder: Path) -> int:
    """Read back how many records a channel has. Raises ValueError where the file is not well formed."""
    return sum(1 for _ in read_records(folder / channel / f"{channel}.rec"))
