"""How faithful resized pictures are: PSNR against a reference resize of the same source to the same size."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Benchmarked
from PIL import Image

from prep.recordio import read_records, unpack


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the compared pictures: decibels, and bytes of a picture (its label left out)."""

    psnr: float
    bytes: float


def of_im2rec(data: Benchmarked) -> dict[str, bytes]:
    """The pictures that im2rec has packed, by the name of their source."""
    names = [line.rsplit("\t", 1)[1] for line in data.prefix.with_suffix(".lst").read_text().splitlines()]
    records = (unpack(payload) for payload in read_records(data.prefix.with_suffix(".rec")))
    return {names[record.record_id]: record.image for record in records}


def of_prep(data: Benchmarked) -> dict[str, bytes]:
    """The pictures of both channels by the name of their source (published names are `<stem>-<digest>.jpg`)."""
    found, prepared = {}, data.root / "processing" / "output" / "prepared"
    for channel in ("train", "validation"):
        lines = (prepared / channel / f"{channel}.lst").read_text().splitlines()
        payloads = read_records(prepared / channel / f"{channel}.rec")
        for line, payload in zip(lines, payloads, strict=True):
            found[line.rsplit("\t", 1)[1].rpartition("-")[0] + ".jpg"] = unpack(payload).image
    return found


def compare(data: Benchmarked, packed: Sequence[Mapping[str, bytes]], most: int) -> tuple[int, list[Quality]]:
    """The quality of each packing on the pictures that all hold, at most so many of them; and their number."""
    names = sorted(set.intersection(*(set(images) for images in packed)))[:most]
    return len(names), [
        Quality(
            statistics.fmean(psnr(images[name], data.images / name) for name in names),
            statistics.fmean(len(images[name]) for name in names),
        )
        for images in packed
    ]


def psnr(encoded: bytes, source: Path) -> float:
    """Decibels between a picture and its source, fully decoded and reduced to the same size by Lanczos filtering."""
    with Image.open(io.BytesIO(encoded)) as opened, Image.open(source) as original:
        picture = opened.convert("RGB")
        reference = original.convert("RGB").resize(picture.size, Image.Resampling.LANCZOS)
    error = np.asarray(picture, np.float32) - np.asarray(reference, np.float32)
    return 10 * math.log10(255**2 / max(float(np.mean(error * error)), 1e-9))
