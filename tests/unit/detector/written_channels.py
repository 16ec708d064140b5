"""One small drawn data set, written as every format and input mode that training reads."""

import io
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dropspot.recordio import frame
from prep.recordio import packed_label

Box = tuple[int, int, int, int, int]  # class id, left, top, width, height in pixels


@dataclass(frozen=True)
class Drawn:
    """A picture as JPEG and its boxes."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    picture: bytes

    @property
    def label(self) -> list[float]:
        values = [2.0, 5.0]
        for class_id, left, top, width, height in self.boxes:
            values += [class_id, left / self.width, top / self.height]
            values += [(left + width) / self.width, (top + height) / self.height]
        return values

    @property
    def annotation(self) -> dict[str, Any]:
        names = ("class_id", "left", "top", "width", "height")
        return {
            "image_size": [{"width": self.width, "height": self.height, "depth": 3}],
            "annotations": [dict(zip(names, box, strict=True)) for box in self.boxes],
        }


def drawn(count: int = 12, seed: int = 0, classes: int = 2) -> list[Drawn]:
    """Pictures of noise in several sizes, with one to three boxes each."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        width, height = (int(side) for side in rng.integers(40, 90, 2))
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(buffer, "JPEG")
        boxes = tuple(
            (int(rng.integers(classes)), int(rng.integers(20)), int(rng.integers(20)), 7 + number, 11)
            for number in range(int(rng.integers(1, 4)))
        )
        pictures.append(Drawn(width, height, boxes, buffer.getvalue()))
    return pictures


def record_bytes(pictures: Iterable[Drawn]) -> bytes:
    """The bytes of a .rec file."""
    return b"".join(frame(packed_label(number, one.label) + one.picture) for number, one in enumerate(pictures))


def attribute_bytes(pictures: Iterable[Drawn]) -> bytes:
    """What an augmented manifest's channel sends: each attribute in a record of its own."""
    return b"".join(frame(one.picture) + frame(json.dumps(one.annotation).encode()) for one in pictures)


def write_record_file(folder: Path, pictures: Iterable[Drawn]) -> None:
    folder.mkdir(parents=True)
    (folder / f"{folder.name}.rec").write_bytes(record_bytes(pictures))


def write_image_files(folder: Path, pictures: Iterable[Drawn]) -> None:
    documents = folder.with_name(f"{folder.name}_annotation")
    for number, one in enumerate(pictures):
        write_pair(folder, documents, f"part-{number % 2}/{number // 2:03}", one)


def write_pair(folder: Path, documents: Path, stem: str, one: Drawn) -> None:
    for path, content in (
        (folder / f"{stem}.jpg", one.picture),
        (documents / f"{stem}.json", json.dumps({"file": f"{stem}.jpg", **one.annotation, "categories": []}).encode()),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def fed_pipe(folder: Path, content: bytes, epoch: int = 0) -> Iterator[Path]:
    """A channel's named pipe, and a thread that writes the content into it once somebody reads."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    pipe = folder.with_name(f"{folder.name}_{epoch}")
    os.mkfifo(pipe)
    feeder = threading.Thread(target=_feed, args=(pipe, content))
    feeder.start()
    try:
        yield pipe
    finally:
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))  # lets a feeder go on whose pipe nobody opened
        feeder.join(30)
        assert not feeder.is_alive()


def _feed(pipe: Path, content: bytes) -> None:
    try:
        with pipe.open("wb") as stream:
            stream.write(content)
    except BrokenPipeError:  # a reader may close early
        return
