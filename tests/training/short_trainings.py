"""Drawn data sets in an /opt/ml tree, and the real train command on them."""

import io
import json
import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from detector.channel import Sample
from detector.pictures import read_picture

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join(str(ROOT / folder) for folder in ("detector_container", "layers/shared", "layers/imaging"))


def drawn_picture(rng: np.random.Generator, side: int = 128) -> tuple[bytes, list[tuple[float, ...]]]:
    """A picture of one red disc (class 0) and one blue square (class 1) on noise, as JPEG, with its boxes."""
    picture = Image.fromarray(rng.integers(0, 120, (side, side, 3), np.uint8))
    canvas = ImageDraw.Draw(picture)
    boxes = []
    for class_id, (draw, colour) in enumerate(((canvas.ellipse, (230, 40, 40)), (canvas.rectangle, (40, 60, 240)))):
        size = rng.integers(side // 4, side // 2)
        left = rng.integers(0, side // 2 - 4) if class_id == 0 else rng.integers(side // 2, side - size // 2)
        top = rng.integers(0, side - size)
        right, bottom = min(left + size, side - 1), top + size
        draw((left, top, right, bottom), fill=colour)
        boxes.append((class_id, left / side, top / side, right / side, bottom / side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue(), boxes


def packed(index: int, picture: bytes, boxes: list[tuple[float, ...]]) -> bytes:
    """A record as MXNet packs it (these pictures hold no magic word)."""
    values = [2.0, 5.0, *(float(value) for box in boxes for value in box)]
    payload = struct.pack("<IfQQ", len(values), 0, index, 0) + struct.pack(f"<{len(values)}f", *values) + picture
    return struct.pack("<II", 0xCED7230A, len(payload)) + payload + b"\0" * (-len(payload) % 4)


def drawn_samples(count: int, seed: int, side: int = 128) -> list[Sample]:
    """Drawn pictures as a channel has them in memory."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        data, boxes = drawn_picture(rng, side)
        samples.append(Sample(np.array(boxes, np.float32), data, read_picture(data)))
    return samples


@dataclass
class TrainingRoot:
    """An /opt/ml tree with a drawn data set, and the train command on it."""

    folder: Path

    def write(self, hyperparameters: dict[str, str], pictures: int = 48, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        for name, count in (("train", pictures), ("validation", 12)):
            channel = self.folder / "input" / "data" / name
            channel.mkdir(parents=True, exist_ok=True)
            records = [packed(index, *drawn_picture(rng)) for index in range(count)]
            (channel / f"{name}.rec").write_bytes(b"".join(records))
        config = self.folder / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        given = {
            "num_classes": "2",
            "num_training_samples": str(pictures),
            "base_network": "tiny",
            "image_shape": "128",
            "mini_batch_size": "16",
            "optimizer": "adam",
            "learning_rate": "0.003",
            "schedule": "cosine",
            "weight_averaging": "0.9",
            "epochs": "12",
        }
        (config / "hyperparameters.json").write_text(json.dumps(given | hyperparameters))

    def start(self, limits: tuple[str, ...] = (), **variables: str) -> "subprocess.Popen[str]":
        """Start the command with more environment variables and, as options of prlimit, limits."""
        env = os.environ | {"PYTHONPATH": PYTHONPATH, "DROPSPOT_ML_ROOT": str(self.folder), "PYTHONUNBUFFERED": "1"}
        command = [*(("prlimit", *limits) if limits else ()), sys.executable, "-m", "detector.train"]
        return subprocess.Popen(
            command, env=env | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def train(self, limits: tuple[str, ...] = (), **variables: str) -> tuple[int, str]:
        """Return exit code and log."""
        with self.start(limits, **variables) as process:
            log, _ = process.communicate(timeout=120)
            return process.returncode, log

    @property
    def failure(self) -> str:
        return (self.folder / "output" / "failure").read_text()


@dataclass
class Trained:
    """A finished training."""

    root: TrainingRoot
    log: str

    @property
    def model(self) -> Path:
        return self.root.folder / "model"
