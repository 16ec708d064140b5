"""Channels as RecordIO: `<channel>.rec`, `.idx` and the `.lst` that im2rec would pack into the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prep.boxes import DECIMALS
from prep.model import LabelledPicture
from prep.recordio import RecordWriter, pack
from prep.writers import published_name

HEADER_WIDTH = 2
OBJECT_WIDTH = 5


def detection_label(picture: LabelledPicture, class_ids: Mapping[str, int]) -> list[float]:
    """Header width, object width, then class id and corners (fractions) of each box."""
    label: list[float] = [HEADER_WIDTH, OBJECT_WIDTH]
    for box in picture.boxes:
        label += [class_ids[box.name], *box.corners]
    return label


def write_record_files(
    pictures: Sequence[LabelledPicture], class_ids: Mapping[str, int], folder: Path, channel: str
) -> None:
    """Write the three files of one channel, in the order of `pictures`."""
    folder.mkdir(parents=True, exist_ok=True)
    lst_path = folder / f"{channel}.lst"
    with (
        RecordWriter(folder / f"{channel}.rec", folder / f"{channel}.idx") as records,
        lst_path.open("w", encoding="utf-8", newline="\n") as lst,
    ):
        for number, picture in enumerate(pictures):
            label = detection_label(picture, class_ids)
            records.write(number, pack(number, label, picture.payload.read_bytes()))
            floats = "\t".join(f"{value:.{DECIMALS}f}" for value in label)
            lst.write(f"{number}\t{floats}\t{published_name(picture)}\n")
