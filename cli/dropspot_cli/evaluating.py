"""`dropspot evaluate`: a trained model on the held-out pictures, through the server that answers in production."""

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from dropspot.coco_scoring import ALL
from dropspot.errors import InvalidInputError
from dropspot.evaluation import SCHEMA, Evaluation, HeldOutPicture, detections_in, score, truth_in
from dropspot.evaluation_page import evaluation_page
from dropspot.scoring import Detection
from dropspot.worst_pictures import worst_pictures
from dropspot_cli import model_folders, prepared_folders
from dropspot_cli.console import counted
from dropspot_cli.detector_server import DetectorServer
from dropspot_cli.project import Project
from dropspot_cli.training_results import EVALUATION

_CONTENT_TYPE = "application/x-image"  # as the pipeline's Transform job states it


def evaluate(project: Project, model: Path, prepared: Path, out: Path | None, console: Console) -> Evaluation:
    """Score the model on the test part of what `dropspot prepare` wrote, print the scores and write them down.

    They go to `out`, or beside the model as evaluation.json, the document that the pipeline writes for a run; the page
    on them goes beside it, with the ending .html. Raises
    InvalidInputError, with one sentence, for a model or data that can't be used, and for a file that is none of ours.
    """
    channels = prepared_folders.channels_folder(prepared)
    names = prepared_folders.class_names(channels)
    truth = _truth(channels)
    target = out if out is not None else model_folders.beside(model) / EVALUATION
    page = target.with_suffix(".html")
    _check_free(target, page)
    with model_folders.serving_root(model) as root:
        known = model_folders.description(root, model).num_classes
        if known != len(names):
            raise InvalidInputError(
                f"the model in {model} knows {counted(known, 'class', 'classes')}, the data in {channels}"
                f" have {len(names)}: they don't belong together"
            )
        with DetectorServer(project, root, model) as server:
            with console.status("loading the model"):
                server.wait_until_ready()
            with _threads() as pool, Progress(console=console, transient=True) as bar:
                task = bar.add_task("looking at the held-out pictures", total=len(truth))
                detections = {}
                paths = (channels / "test" / "images" / name for name in truth)
                answers = pool.map(partial(_detections, server), paths, truth.values())
                for name, found in zip(truth, answers, strict=True):
                    detections[name] = found
                    bar.advance(task)
    evaluation = score(names, truth, detections)
    worst = worst_pictures(
        evaluation,
        truth,
        read=lambda name: (channels / "test" / "images" / name).read_bytes(),
        link=lambda name: (channels / "test" / "images" / name).resolve().as_uri(),
    )
    _replace(page, evaluation_page(f"The model in {model}", evaluation.document, worst))
    _replace(target, json.dumps(evaluation.document, indent=1, ensure_ascii=False) + "\n")
    show(evaluation, console)
    console.print(escape(f"written to {target}, and for people to {page}"), soft_wrap=True)
    return evaluation


def show(evaluation: Evaluation, console: Console) -> None:
    """Print the scores: a row for every class, and the means."""
    table = Table("class", box=None, pad_edge=False)
    for title in ("boxes", "AP@0.5", "AP@0.5 VOC07", "AP@.5:.95", "best score", "precision", "recall"):
        table.add_column(title, justify="right")
    for one in evaluation.classes:
        best = one.curve.best
        operation = (best.threshold, best.precision, best.recall) if best else (None, None, None)
        figures = (one.curve.ap, one.curve.ap_voc07, one.coco[ALL].ap, *operation)
        table.add_row(escape(one.label), str(one.curve.boxes), *map(_figure, figures))
    console.print(table)
    console.print(
        f"mAP@0.5 {evaluation.map50:.3f} (all-point), {evaluation.map50_voc07:.3f} (VOC07);"
        f" mAP@.5:.95 {_figure(evaluation.coco())} (COCO), over"
        f" {counted(evaluation.boxes, 'box', 'boxes')} in {counted(evaluation.images, 'held-out picture')}",
        soft_wrap=True,
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _truth(channels: Path) -> Mapping[str, HeldOutPicture]:
    path = channels / "test" / "truth.json"
    document = prepared_folders.read_document(path)
    try:
        truth = truth_in(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"{path} says nothing of the held-out pictures: prepare the data again") from error
    if not truth:
        raise InvalidInputError(f"{path} names no picture: there is nothing to evaluate on")
    return truth


def _detections(server: DetectorServer, path: Path, picture: HeldOutPicture) -> list[Detection]:
    try:
        return detections_in(server.look_at(path.read_bytes(), _CONTENT_TYPE), picture)
    except InvalidInputError as error:
        raise InvalidInputError(f"the server refused {path}: {error}") from error


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for answers: as many as the server has, and one that prepares the next request for each."""
    pool = ThreadPoolExecutor(2 * len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _check_free(target: Path, page: Path) -> None:
    """Raise InvalidInputError where a file is there that no earlier evaluation has written."""
    if not target.parent.is_dir():
        raise InvalidInputError(f"{target.parent} is no folder")
    if page == target:
        raise InvalidInputError(f"{target} is where the page would go: name the scores' file with another ending")
    if not target.exists() and not page.exists():
        return
    try:
        prepared_folders.read_document(target, SCHEMA)
    except (InvalidInputError, OSError) as error:
        raise InvalidInputError(
            f"{target if target.exists() else page} is no earlier evaluation: choose another file; it was not touched"
        ) from error


def _replace(target: Path, text: str) -> None:
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)
