"""The real data sets, laid out for `dropspot prepare` with the division that is scored."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLAN = "training.json"


@dataclass(frozen=True, slots=True)
class Division:
    """A data set and what of it is held out: `sources` for `dropspot prepare`."""

    name: str
    sources: tuple[Path, ...]


def pets(datasets: Path, work: Path, folds: int) -> Iterator[Division]:
    """Yield the annotated pets of the sample once for each fold, a different part of them on the test list.

    Every picture is on it once. Pictures of the same bytes are in one fold; which one follows from the bytes.
    """
    home = datasets / "oxford-pets-sample"
    for archive in ("annotations.tar.gz", "images.tar.gz"):
        _unpack(home / archive, work / "pets")
    root = work / "pets"
    annotated = {path.stem for path in (root / "annotations" / "xmls").glob("*.xml")}
    lines = (root / "annotations" / "list.txt").read_text().splitlines()
    by_content: dict[str, list[str]] = {}
    for line in lines:
        stem = line.partition(" ")[0]
        if stem in annotated:
            digest = hashlib.sha256((root / "images" / f"{stem}.jpg").read_bytes()).hexdigest()
            by_content.setdefault(digest, []).append(line)
    dealt = [by_content[digest] for digest in sorted(by_content)]
    for fold in range(folds):
        folder = work / f"pets-{fold + 1}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(root, folder)
        parts = {
            "test.txt": [line for place, group in enumerate(dealt) if place % folds == fold for line in group],
            "trainval.txt": [line for place, group in enumerate(dealt) if place % folds != fold for line in group],
        }
        for name, part in parts.items():
            (folder / "annotations" / name).write_text("\n".join(part) + "\n")
        (folder / PLAN).write_text('{"classes": "species", "split": {"lists": "follow"}}')
        yield Division(f"pets, fold {fold + 1}", (folder,))


def blood_cells(datasets: Path) -> Division:
    """Return BCCD with its own lists."""
    return Division("blood cells", (datasets / "bccd" / "bccd.tar.gz",))


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
