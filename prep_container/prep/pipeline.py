"""The whole preparation, step by step."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropspot.preparation_plan import SPLITS, PreparationPlan
from prep.conventions import conventions_by_layout
from prep.duplicates import without_copies
from prep.folders import Folders
from prep.given_parts import given_division
from prep.kinds import wrong_extension
from prep.labelling import decoded_pairs, labelled_pictures
from prep.limits import check_classes, check_losses, missing_pictures, nothing_usable, wanted_classes
from prep.lists import read_lists
from prep.matching import match
from prep.model import Kind
from prep.oxford import renamed
from prep.pool import Crew
from prep.processes import get_ready
from prep.quarantine import Quarantine
from prep.readers import read_annotations
from prep.references import referenced_pictures
from prep.report import Findings, build_report, told_warnings
from prep.report_page import write_report_page
from prep.similar_classes import remark_on_similar_classes
from prep.sources import collect
from prep.split import split
from prep.writers import write_json
from prep.writers.outputs import check_destination, write_prepared


def prepare(
    folders: Folders, plan: PreparationPlan, *, say: Callable[[str], None] = print, workers: int | None = None
) -> dict[str, Any]:
    """Prepare the data set in `folders` and return the report that was written.

    Raises InvalidInputError, with one sentence, where the data set as a whole cannot be used; what was left out until
    then is in quarantine.jsonl all the same. `workers` is the number of decoding processes (default: one per core; 0
    decodes in this process).
    """
    check_destination(plan.output, folders.prepared_uri)
    workers = available_cores() if workers is None else workers
    if workers:
        get_ready()
    quarantine = Quarantine()
    for folder in (folders.prepared, folders.report):
        _empty(folder)
    with _scratch(folders.work) as scratch, Crew(workers) as crew:
        try:
            report = _prepare(folders, plan, scratch, quarantine, say, crew)
        finally:
            quarantine.write(folders.report / "quarantine.jsonl")
    write_json(folders.report / "report.json", report)
    return report


def _prepare(
    folders: Folders,
    plan: PreparationPlan,
    scratch: Path,
    quarantine: Quarantine,
    say: Callable[[str], None],
    crew: Crew,
) -> dict[str, Any]:
    files = collect(folders.dataset, scratch / "unpacked", quarantine, say)
    files += referenced_pictures(folders.references, quarantine)
    pictures = [file for file in files if file.kind is Kind.PICTURE]
    for picture in pictures:
        if picture.image_format and wrong_extension(picture.name, picture.image_format):
            quarantine.remark(picture.path, "wrong_extension", f"its content is {picture.image_format}")
    listed = read_lists(files, quarantine)
    annotations = renamed(read_annotations(files, plan, quarantine), files, plan, quarantine)
    layouts = dict(sorted(Counter(annotation.layout for annotation in annotations).items()))
    found = ", ".join(layouts) or "of no known layout"
    say(f"found {len(pictures)} images and {len(annotations)} annotations ({found})")
    pairs = match(annotations, pictures, listed, quarantine, dataset_uri=folders.dataset_uri)
    if not any(pair.annotation.boxes for pair in pairs):
        raise nothing_usable(len(pictures), len(annotations), quarantine)
    wanted = wanted_classes(annotations, plan)
    remark_on_similar_classes(wanted, annotations, plan, quarantine)

    decoded = decoded_pairs(pairs, plan, scratch / "pictures", quarantine, say, crew)
    conventions = conventions_by_layout([each.stated for each in decoded], plan.boxes)
    every = labelled_pictures(decoded, conventions, plan, quarantine)
    labelled = without_copies(every, quarantine)
    paths = [picture.path for picture in pictures]
    missing = missing_pictures(paths, annotations, plan, quarantine)
    check_losses(len(pictures), quarantine.pictures_left_out(paths), plan.max_left_out, missing)
    if not labelled:
        raise nothing_usable(len(pictures), len(annotations), quarantine)
    check_classes(wanted, labelled, quarantine, annotations, plan)

    classes = sorted(wanted)
    # Copies are left out of the data, not of the question which part a picture was given to.
    division = given_division(pairs, every, listed, plan.split)
    shared = split(labelled, plan.split, division, quarantine)
    write_prepared(shared, classes, plan.output, folders.prepared, folders.prepared_uri)
    findings = Findings(len(pictures), layouts, division, conventions, lists=listed.paths)
    report = build_report(shared, classes, findings, plan, folders.prepared, quarantine)
    write_report_page(folders.report / "report.html", report, shared, quarantine)
    say(
        f"used {report['images']['used']} of {len(pictures)} images: "
        + ", ".join(f"{report['splits'][side]['images']} {side}" for side in SPLITS)
    )
    for line in told_warnings(report["warnings"]):
        say(line)
    return report


def available_cores() -> int:
    """The cores this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _empty(folder: Path) -> None:
    """Clear what an earlier preparation left, so that nothing stale is uploaded; a folder may be a mount and stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _scratch(preferred: Path) -> Iterator[Path]:
    """A temporary folder on the job's volume, or where the system keeps such if that one is not ours to write."""
    parent = preferred if os.access(preferred, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="prep-", dir=parent) as folder:
        yield Path(folder)
