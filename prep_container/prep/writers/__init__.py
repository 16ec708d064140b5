"""What is written for training and for the final score, one module per output."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from prep.model import LabelledPicture


class ChannelWriter(Protocol):
    """Writes one channel of training data into a folder of its own."""

    def __call__(
        self, pictures: Sequence[LabelledPicture], class_ids: Mapping[str, int], folder: Path, channel: str
    ) -> None: ...


def published_name(picture: LabelledPicture) -> str:
    """The picture's file name in the output: its own stem in plain characters, and a digest that makes it unique.

    Depends on content and stem only, so the same data set in other folders or archives gets the same names.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", picture.source.stem)[:60]
    identity = sha256(f"{picture.payload_digest}{sorted(picture.boxes)}".encode()).hexdigest()[:12]
    return f"{plain}-{identity}.jpg"


def write_json(path: Path, document: object) -> None:
    """Write a document the same way every time: indented, keys in the given order, newline at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
