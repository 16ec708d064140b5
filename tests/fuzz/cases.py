"""Case number -> bytes: a data set, spoilt somewhere, and a plan."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fuzz.mutations import mutate
from fuzz.seeds import SEEDS, Files, dataset

_PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp")
_ODD_NAMES = (
    "p00.xml", "images/p01.png", "classes.txt", "data.yaml", "train.txt", "ImageSets/Main/val.txt", "x/._p02.jpg",
    "__MACOSX/p03.png", "trimaps/p04.png", "e\u0301.jpg", "\u00e9.jpg", "no suffix", "a b+c.jpg", ".jpg", "p.JPG.xml",
    "instances_val2017.json", "inner.zip", "x.tar.bz2", "labels.json", "deep/er/p05.webp",
)  # fmt: skip
_PLANS: tuple[dict[str, object], ...] = (
    {},
    {"output": "image"},
    {"output": "augmented-manifest"},
    {"split": {"lists": "follow"}},
    {"split": {"lists": "ignore", "seed": 7}},
    {"boxes": {"units": "ratio"}},
    {"boxes": {"units": "percent", "difficult": "drop"}},
    {"boxes": {"first_pixel": "0", "truncated": "drop", "crowd": "keep"}},
    {"classes": ["cat"]},
    {"classes": {"cat": "pet", "dog": "pet"}},
    {"classes": "breed"},
    {"classes": "species"},
    {"layout": "voc"},
    {"layout": "coco"},
    {"layout": "yolo"},
    {"layout": "manifest"},
    {"shorter_side": 32},
)


@dataclass(frozen=True, slots=True)
class Case:
    """One data set to prepare; `history` says what was done to which file."""

    number: int
    origin: str
    files: Files
    plan: bytes
    history: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the files below a folder."""
        for path, data in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def origin_of(number: int) -> str:
    """Which of SEEDS a case is made from."""
    return list(SEEDS)[number % len(SEEDS)]


def make_case(seed: int, number: int) -> Case:
    """The case of this number, always the same for the same seed."""
    rng = random.Random(f"{seed}/{number}")
    origin = origin_of(number)
    files, history = dataset(origin), list[str]()
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        _spoil_one(rng, files, history)
    if rng.random() < 0.25:
        _rearrange(rng, files, history)
    if rng.random() < 0.45:
        _pack(rng, files, history)
    return Case(number, origin, files, _plan(rng, history), tuple(history))


def _spoil_one(rng: random.Random, files: Files, history: list[str]) -> None:
    # what is said about pictures is a small part of the files and the larger part of the code
    said = [path for path in files if not path.endswith(_PICTURES)]
    path = rng.choice(said if said and rng.random() < 0.6 else list(files))
    others = [data for data in files.values() if data]
    files[path], what = mutate(rng, files[path], others, is_text=not path.endswith(_PICTURES))
    history.append(f"{path}: {what}")


def _rearrange(rng: random.Random, files: Files, history: list[str]) -> None:
    path, what = rng.choice(list(files)), rng.randrange(4)
    if what == 0:
        del files[path]
        history.append(f"{path}: deleted")
        return
    name = rng.choice(_ODD_NAMES) if what < 3 else f"copy/{path}"
    if name in files or any(other.startswith(f"{name}/") for other in files):
        return
    files[name] = files[path] if what != 2 else files.pop(path)
    history.append(f"{path}: {'moved' if what == 2 else 'copied'} to {name}")


def _pack(rng: random.Random, files: Files, history: list[str]) -> None:
    """Move some or all files into an archive, and spoil that now and then."""
    share = rng.choice((1.0, 1.0, 0.5))
    chosen = {path: data for path, data in files.items() if rng.random() < share and "/" in path}
    suffix = rng.choice((".tar", ".tar", ".tar.gz", ".tgz", ".zip", ".zip"))
    data = _zip(rng, chosen) if suffix == ".zip" else _tar(chosen, gzipped=suffix != ".tar")
    for path in chosen:
        if rng.random() < 0.97:  # the others are there twice
            del files[path]
    what = "packed"
    if rng.random() < 0.5:
        data, what = mutate(rng, data, [data[::-1]], is_text=False)
    files[f"pack{suffix}"] = data
    history.append(f"pack{suffix}: {what}")


def _tar(files: Files, *, gzipped: bool) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    packed = buffer.getvalue()
    return gzip.compress(packed, 1, mtime=0) if gzipped else packed


def _zip(rng: random.Random, files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), data, archive.compression)
    return buffer.getvalue()


def _plan(rng: random.Random, history: list[str]) -> bytes:
    plan = dict(rng.choice(_PLANS)) if rng.random() < 0.4 else {}
    if rng.random() < 0.85:  # or most spoilt data sets would be refused before the later steps see them
        plan["quarantine"] = {"max_left_out": 1.0}
    text = json.dumps(plan).encode()
    if rng.random() < 0.04:
        text, what = mutate(rng, text, [b"{}"], is_text=True)
        history.append(f"plan: {what}")
    return text
