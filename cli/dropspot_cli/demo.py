"""`dropspot demo`: the whole road on the embedded cloud, composed of the command's own verbs."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

from dropspot import documents
from dropspot.errors import DropspotError, InvalidInputError, NotFoundError
from dropspot.runs import Run
from dropspot_cli import uploads
from dropspot_cli.console import duration
from dropspot_cli.detecting import DETECTIONS, detect
from dropspot_cli.downloads import OXFORD_PETS, download_oxford_pets
from dropspot_cli.embedded import up
from dropspot_cli.project import Project
from dropspot_cli.pushing import push_dataset
from dropspot_cli.runs import await_run, run_ids
from dropspot_cli.stack import Stack, shown
from dropspot_cli.toybox import write_toybox, write_toybox_pictures
from dropspot_cli.watching import Watcher

TOYBOX = "toybox"
PICTURES = 6  # to drop once the detector answers
_SILENCE = 1800.0  # seconds without news from the run: an epoch over a large data set takes a while without a GPU
_PATIENCE = 60.0  # seconds for a run to begin; the embedded stack's settle time is a few


@dataclass(frozen=True, slots=True)
class Material:
    """What the demo trains with; `sources` are None for the toybox, generated while the stack is being built."""

    name: str
    sources: list[Path] | None


def material(dataset: str, project: Project, console: Console) -> Material:
    """Return the data set that was asked for, downloaded where need be; one that doesn't exist is said at once."""
    if dataset in {"", TOYBOX}:
        return Material(TOYBOX, None)
    path = Path(dataset).expanduser()
    if dataset == OXFORD_PETS and not path.exists():
        return Material(OXFORD_PETS, download_oxford_pets(project.downloads / OXFORD_PETS, console))
    if not path.exists():
        raise NotFoundError(f"{dataset} does not exist: give a folder, an archive, or {OXFORD_PETS}.")
    if path.is_file() and not path.name.lower().endswith(uploads.ARCHIVES):
        raise InvalidInputError(f"{dataset} is neither a folder nor an archive ({', '.join(uploads.ARCHIVES)}).")
    return Material(uploads.dataset_name([path]), [path])


def demo(project: Project, dataset: str, stack_name: str, console: Console) -> None:
    """Start, deploy, upload, follow, detect, and say where everything is; raise DropspotError where a stage fails."""
    began = time.monotonic()
    chosen = material(dataset, project, console)
    with _section(console, "1  The embedded cloud, and the stack deployed to it with sam"):
        # one stack serves one data set: this demo's, also where an earlier demo's is still in service
        stack = up(
            project, stack_name, {"ServedDataset": chosen.name}, console, meanwhile=partial(generate, chosen, project)
        )
    with _section(console, "2  A data set is dropped into the bucket"):
        known = run_ids(stack.store)
        pushed = push_dataset(stack, chosen.sources or [_toybox(project)], chosen.name, console, prune=True)
    with _section(console, "3  Its arrival starts a run: prepare, train, evaluate, deploy"):
        with console.status("waiting for the upload to settle"):
            run_id = await_run(stack.store, chosen.name, known, patience=_PATIENCE if pushed.changed else 0)
        run = Run.from_id(stack.app, run_id)
        ended = Watcher(stack.store, run, console, patience=_SILENCE).follow()
        if not ended.is_deployed:
            raise DropspotError(f"The model of {run_id} did not go into service: `dropspot runs` says why.")
    with _section(console, "4  Images are dropped into the bucket, and their detections come back"):
        folder = project.state / "drop"
        shutil.rmtree(folder, ignore_errors=True)
        pictures = _pictures(chosen, stack, run, folder)
        below = f"demo/{chosen.name}"
        detect(stack, pictures, project.results, console, below=below)
        _check_documents(stack, f"{below}/")
    _farewell(project, stack, run, console, time.monotonic() - began)


@contextmanager
def _section(console: Console, title: str) -> Iterator[None]:
    console.print()
    console.print(Rule(title, align="left", style="blue"))
    yield


def generate(chosen: Material, project: Project) -> None:
    """Write the toybox where the demo uses it."""
    if chosen.sources is None:
        write_toybox(_toybox(project))


def _toybox(project: Project) -> Path:
    return project.state / TOYBOX


def _pictures(chosen: Material, stack: Stack, run: Run, folder: Path) -> list[Path]:
    """Return pictures new to the model: fresh ones for the toybox, held-out ones of the user's own data."""
    if chosen.sources is None:
        return write_toybox_pictures(folder, PICTURES)
    held_out = sorted(found.key for found in stack.store.objects(run.key("prepared", "test", "images/")))
    every = max(1, len(held_out) // PICTURES)  # spread over the whole set
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for key in held_out[::every][:PICTURES]:
        path = folder / key.rsplit("/", 1)[1]
        path.write_bytes(stack.store.read(key).body)
        paths.append(path)
    if not paths:
        raise NotFoundError(f"The run {run.run_id} holds no picture back to try the detector on.")
    return paths


def _check_documents(stack: Stack, below: str) -> None:
    """Hold what lies under detections/ against the dropped images: one document for each, no more."""
    there = [found.key for found in stack.store.objects(uploads.IMAGES + below)]
    answered = [found.key for found in stack.store.objects(DETECTIONS + below)]
    wanted = sorted(f"{DETECTIONS}{key.removeprefix(uploads.IMAGES)}.json" for key in there)
    if sorted(answered) != wanted:
        raise DropspotError(
            f"{len(there)} images have {len(answered)} documents under {DETECTIONS}{below}: one each was expected."
        )


def _farewell(project: Project, stack: Stack, run: Run, console: Console, seconds: float) -> None:
    verdict = documents.read(stack.store, run.key("verdict.json"))
    page = project.results / "evaluation.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(stack.store.read(run.key("evaluation", page.name)).body)
    console.print()
    console.print(Rule(f"Done in {duration(seconds)}", align="left", style="green"))
    lines = {
        "model": f"mAP@0.5 {verdict['map50']:.3f} on held-out pictures, by the run's own evaluation",
        "page": f"{shown(page)}: its curves, classes and worst pictures",
        "run": f"s3://{stack.bucket}/{run.key('')}",
        "pictures": f"{shown(project.results)}/",
        "bucket": f"s3://{stack.bucket}: drop images under images/, data sets under datasets/<name>/",
        "shell": f"source {shown(project.env_file)}    then the AWS CLI and any SDK talk to this cloud",
        "next": "dropspot detect PICTURE…   dropspot runs   dropspot retrain   (in .venv/bin)",
        "stop": "make down",
    }
    for name, text in lines.items():
        console.print(f"  [bold]{name:<9}[/]{escape(text)}", soft_wrap=True)
