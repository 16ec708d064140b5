"""The whole preparation, step by step."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropspot.preparation_plan import SPLITS, PreparationPlan
from prep.boxes import usable_boxes
from prep.decoding import DecodeTask, Undecodable
from prep.duplicates import without_copies
from prep.kinds import wrong_extension
from prep.limits import check_classes, check_losses, nothing_usable, wanted_classes
from prep.lists import read_lists
from prep.matching import NOT_AN_IMAGE, Pair, match
from prep.model import Kind, LabelledPicture
from prep.paths import ContainerPaths
from prep.pool import decode_all
from prep.progress import Progress
from prep.quarantine import Quarantine
from prep.readers import read_annotations
from prep.report import build_report
from prep.sources import collect
from prep.split import split
from prep.writers import ChannelWriter, write_json
from prep.writers.held_out import write_held_out
from prep.writers.record_files import write_record_files

CHANNEL_WRITERS: Mapping[str, ChannelWriter] = {"recordio": write_record_files}


def prepare(
    paths: ContainerPaths, plan: PreparationPlan, *, say: Callable[[str], None] = print, workers: int | None = None
) -> dict[str, Any]:
    """Prepare the data set below `paths` and return the report that was written.

    Raises InvalidInputError, with one sentence, where the data set as a whole cannot be used; what was left out until
    then is in quarantine.jsonl all the same. `workers` is the number of decoding processes (default: one per core).
    """
    quarantine = Quarantine()
    for folder in (paths.prepared, paths.report):
        _empty(folder)
    with _scratch(paths.work) as scratch:
        try:
            report = _prepare(paths, plan, scratch, quarantine, say, workers or available_cores())
        finally:
            quarantine.write(paths.report / "quarantine.jsonl")
    write_json(paths.report / "report.json", report)
    return report


def _prepare(
    paths: ContainerPaths,
    plan: PreparationPlan,
    scratch: Path,
    quarantine: Quarantine,
    say: Callable[[str], None],
    workers: int,
) -> dict[str, Any]:
    files = collect(paths.dataset, scratch / "unpacked", quarantine, say)
    pictures = [file for file in files if file.kind is Kind.PICTURE]
    for picture in pictures:
        if picture.image_format and wrong_extension(picture.name, picture.image_format):
            quarantine.remark(picture.path, "wrong_extension", f"its content is {picture.image_format}")
    listed = read_lists(files, quarantine)
    annotations = read_annotations(files, quarantine)
    say(f"found {len(pictures)} images and {len(annotations)} annotations")
    pairs = match(annotations, pictures, listed, quarantine)
    if not any(pair.annotation.boxes for pair in pairs):
        raise nothing_usable(len(pictures), len(annotations), quarantine)
    wanted = wanted_classes(annotations, plan)
    labelled = without_copies(_labelled(pairs, plan, scratch / "pictures", quarantine, say, workers), quarantine)
    check_losses(len(pictures), quarantine.pictures_left_out(p.path for p in pictures), plan.max_left_out)
    if not labelled:
        raise nothing_usable(len(pictures), len(annotations), quarantine)
    check_classes(wanted, labelled, quarantine)
    classes = sorted(wanted)
    shared = split(labelled, plan.split)
    _write(shared, classes, plan, paths.prepared)
    report = build_report(shared, classes, len(pictures), paths.prepared, quarantine, listed)
    say(
        f"used {report['images']['used']} of {len(pictures)} images: "
        + ", ".join(f"{report['splits'][side]['images']} {side}" for side in SPLITS)
    )
    return report


def _labelled(
    pairs: Sequence[Pair],
    plan: PreparationPlan,
    folder: Path,
    quarantine: Quarantine,
    say: Callable[[str], None],
    workers: int,
) -> list[LabelledPicture]:
    """Decode every paired picture and check its boxes."""
    folder.mkdir(parents=True)
    progress = Progress(len(pairs), say)
    tasks = []
    for number, pair in enumerate(pairs):
        if pair.picture.image_format:
            tasks.append(DecodeTask(number, pair.picture.stored, plan.shorter_side, folder / f"{number:08d}.jpg"))
        else:
            progress.advance()
            _lose(pair, "not_an_image", NOT_AN_IMAGE, quarantine)
    labelled = []
    for task, outcome in decode_all(tasks, workers):
        progress.advance()
        pair = pairs[task.number]
        if isinstance(outcome, Undecodable):
            _lose(pair, outcome.code, outcome.reason, quarantine)
            continue
        if outcome.unreadable_exif:
            quarantine.remark(pair.picture.path, "unreadable_exif", "its EXIF data make no sense; taken as upright")
        boxes = usable_boxes(pair.annotation, outcome.width, outcome.height, plan.class_names, quarantine)
        if not boxes:
            _lose_without_box(pair, plan, quarantine)
            continue
        labelled.append(
            LabelledPicture(
                source=pair.picture,
                annotation=pair.annotation.file,
                payload=outcome.payload,
                payload_digest=outcome.payload_digest,
                pixel_digest=outcome.pixel_digest,
                width=outcome.payload_width,
                height=outcome.payload_height,
                boxes=boxes,
            )
        )
    return labelled


def _lose(pair: Pair, code: str, reason: str, quarantine: Quarantine, *, deliberate: bool = False) -> None:
    file = pair.annotation.file.path
    quarantine.leave_out(pair.picture.path, code, reason, annotation=file, deliberate=deliberate)


def _lose_without_box(pair: Pair, plan: PreparationPlan, quarantine: Quarantine) -> None:
    """A picture on which the plan asks for nothing is no loss; one whose boxes were all bad is."""
    names = {box.name for box in pair.annotation.boxes}
    unwanted = bool(names) and plan.class_names is not None and not names & set(plan.class_names)
    reason = "all its objects are of classes that the plan does not ask for" if unwanted else "no usable box is left"
    _lose(
        pair,
        "no_usable_box",
        reason if names else "its annotation has no usable object",
        quarantine,
        deliberate=unwanted,
    )


def _write(
    shared: Mapping[str, Sequence[LabelledPicture]], classes: Sequence[str], plan: PreparationPlan, prepared: Path
) -> None:
    class_ids = {name: class_id for class_id, name in enumerate(classes)}
    for channel in ("train", "validation"):
        CHANNEL_WRITERS[plan.output](shared[channel], class_ids, prepared / channel, channel)
    write_held_out(shared["test"], class_ids, prepared / "test")
    write_json(prepared / "classes.json", {"classes": list(classes)})


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
