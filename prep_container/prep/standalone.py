"""Preparation outside a container: `python -m prep SOURCE... OUT`, for a folder or archives on a user's machine."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dropspot.errors import InvalidInputError
from dropspot.plan import TrainingPlan
from dropspot.plan_fields import Fields, stated
from dropspot.preparation_plan import SPLITS, PreparationPlan
from prep.folders import SCRATCH_NAME, Folders
from prep.kinds import PLAN_NAME, SYSTEM_FILES
from prep.page.words import counted
from prep.pipeline import prepare
from prep.report import SCHEMA
from prep.sources import is_link

_PICTURE = r"[A-Za-z0-9_-]*-[0-9a-f]{12}"
# What preparations write, whatever the plan's output
_OURS = re.compile(
    r"report/(report\.json|report\.html|quarantine\.jsonl)"
    r"|prepared/(classes\.json|test/truth\.json"
    r"|(?P<channel>train|validation)/(?P=channel)\.(rec|idx|lst|manifest)"
    rf"|(train|validation)/{_PICTURE}\.jpg|(train|validation|test)/images/{_PICTURE}\.jpg"
    rf"|(train|validation)_annotation/{_PICTURE}\.json)"
)
# What a training plan states for the steps that come after preparation
LATER_FIELDS = ("schema", *(field.name for field in fields(TrainingPlan) if field.name != "preparation"))


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for; `workers` None means one per core."""

    sources: tuple[Path, ...]
    out: Path
    plan: Path | None
    workers: int | None
    prepared_uri: str


def parse(arguments: Sequence[str]) -> Request:
    """Read the command line; one that makes no sense ends the process with code 2, as argparse does."""
    parser = argparse.ArgumentParser(prog="python -m prep", description="Prepare an annotated data set for training.")
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="a folder, or archives")
    parser.add_argument("out", type=Path, metavar="OUT", help="where prepared/ and report/ are written")
    parser.add_argument("--plan", type=Path, help=f"a training plan; by default the sources' {PLAN_NAME}, if any")
    parser.add_argument("--workers", type=_workers, help="decoding processes; one per core by default")
    parser.add_argument(
        "--prepared-uri", default="", metavar="URI", help="where OUT/prepared will lie in S3, for augmented manifests"
    )
    told = parser.parse_args(arguments)
    return Request(tuple(told.sources), told.out, told.plan, told.workers, told.prepared_uri)


def _workers(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError("must be a number of processes, or 0 to decode in this one")
    return int(text)


def run(request: Request, say: Callable[[str], None]) -> None:
    """Prepare the sources into `out`/prepared and `out`/report, and say at the end what lies where.

    `out` changes only when the preparation is over: a finished one replaces an earlier one, a refused one puts in its
    place the list of what was left out, a stopped one leaves everything as it was. Raises InvalidInputError, with one
    sentence, for sources or a plan that cannot be used and for an `out` that holds anything else.
    """
    sources = tuple(_found(source) for source in request.sources)
    out = request.out.resolve()
    _check_apart(sources, out)
    plan_file = request.plan or _plan_among(sources)
    plan = _read_plan(plan_file) if plan_file else PreparationPlan()
    _check_free(out)
    with _scratch(out) as scratch:
        dataset = presented(sources, scratch / "dataset")
        folders = Folders.standalone(dataset, out, plan_file or out / PLAN_NAME, prepared_uri=request.prepared_uri)
        try:
            report = prepare(folders, plan, say=say, workers=request.workers)
        except InvalidInputError:
            _keep_quarantine(folders, out, say)
            raise
        _replace(folders, out)
    for line in summary(report, out):
        say(line)


def summary(report: Mapping[str, Any], out: Path) -> list[str]:
    """What was prepared and where it lies, for people."""
    images, classes = report["images"], [entry["name"] for entry in report["classes"]]
    sides = ", ".join(f"{report['splits'][side]['images']} {side}" for side in SPLITS)
    lines = [
        f"prepared {images['used']} of {images['found']} images: {sides}",
        f"  channels     {out / 'prepared'}",
        f"  classes      {len(classes)}: {', '.join(classes[:20])}{', …' if len(classes) > 20 else ''}",
        f"  label_width  {report['label_width']}",
        f"  split        {report['split']['reason']}",
    ]
    if left_out := sum(report["left_out"].values()):
        entries = counted(left_out, "entry", "entries")
        lines.append(f"  left out     {entries}, listed in {out / 'report' / 'quarantine.jsonl'}")
    return [*lines, f"  report       {out / 'report' / 'report.html'}"]


def _found(source: Path) -> Path:
    if not source.exists():
        raise InvalidInputError(f"{source} does not exist")
    return source.resolve()


def _check_apart(sources: Sequence[Path], out: Path) -> None:
    for source in sources:
        if out == source or out in source.parents:
            raise InvalidInputError(f"{source} lies in the output folder {out}: choose another output folder")
        if source in out.parents:
            raise InvalidInputError(f"the output folder {out} lies in {source}: choose one outside of the data set")


def _plan_among(sources: Sequence[Path]) -> Path | None:
    """The plan that the data set comes with: at the top of a folder, or given beside archives."""
    places = [source / PLAN_NAME if source.is_dir() else source for source in sources]
    return next((place for place in places if place.name == PLAN_NAME and place.is_file()), None)


def _read_plan(path: Path) -> PreparationPlan:
    if not path.is_file():
        raise InvalidInputError(f"the plan {path} does not exist")
    document = Fields(stated(path.read_bytes(), path.name), path.name)
    plan = PreparationPlan.take(document)
    document.finish(LATER_FIELDS)
    return plan


def _check_free(out: Path) -> None:
    """Raise InvalidInputError unless `out` is absent, empty or holds only what an earlier preparation left there."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InvalidInputError(f"the output folder {out} is a file")
    names = {entry.name for entry in out.iterdir() if not _is_system_file(entry)}
    if SCRATCH_NAME in names:
        raise InvalidInputError(
            f"{out / SCRATCH_NAME} is there: another preparation is at work, or one was killed (then delete it)"
        )
    if names and not _is_ours(out, names):
        raise InvalidInputError(
            f"{out} holds something else than an earlier preparation: choose a new or an empty folder; "
            "nothing in it was touched"
        )
    if foreign := _foreign_among(out):
        raise InvalidInputError(
            f"{out} holds {foreign}, which no preparation wrote and the next one would delete: move it, or choose "
            "another folder; nothing in it was touched"
        )


def _is_system_file(path: Path) -> bool:
    """Whether a file browser put it there by itself, so that nobody misses it."""
    return path.name.lower() in SYSTEM_FILES or path.name.startswith("._")


def _foreign_among(out: Path) -> str:
    """The path of a file of the user's own among those of an earlier preparation, or ""."""
    files = (path for path in _files(out) if not _is_system_file(path))
    paths = (path.relative_to(out).as_posix() for path in files)
    return min((path for path in paths if not _OURS.fullmatch(path)), default="")


def _is_ours(out: Path, names: set[str]) -> bool:
    """Whether a folder's content is a finished preparation's, or the list that a refused one left."""
    report = out / "report" / "report.json"
    if names == {"report"}:
        left = [path.name for path in report.parent.iterdir() if not _is_system_file(path)]
        return left == ["quarantine.jsonl"]
    if names != {"prepared", "report"} or not (out / "prepared").is_dir():
        return False
    try:
        document = json.loads(report.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("schema") == SCHEMA


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder below `out` for everything that isn't finished; it goes, and with it whatever it took to make it."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    scratch = out / SCRATCH_NAME
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # one that holds something by now stays
            for folder in made:
                folder.rmdir()


def presented(sources: Sequence[Path], folder: Path) -> Path:
    """The data set as one folder: the only source itself, or `folder` filled with links to the files of all.

    Files keep their paths within their source, archives lie at the top: as `dropspot push` puts them into a bucket.
    Raises InvalidInputError where two files would get the same path.
    """
    if len(sources) == 1 and sources[0].is_dir():
        return sources[0]
    folder.mkdir()
    for source in sources:
        root = source if source.is_dir() else source.parent
        for path in _files(source) if source.is_dir() else [source]:
            target = folder / path.relative_to(root)
            if os.path.lexists(target):
                raise InvalidInputError(f"two sources hold {path.relative_to(root)}: give their common folder instead")
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(path, target)
    return folder


def _files(folder: Path) -> Iterator[Path]:
    """Everything below a folder that isn't a folder itself, and the folders that may not be read.

    Links to folders are not followed. Raises InvalidInputError where the folder itself may not be read.
    """
    unreadable: list[Path] = []

    def note(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise InvalidInputError(f"the folder {folder} cannot be read: {error.strerror}") from error
        unreadable.append(Path(error.filename))

    for parent, folders, names in os.walk(folder, onerror=note):
        yield from (Path(parent, name) for name in names)
        yield from (Path(parent, name) for name in folders if is_link(Path(parent, name)))
    yield from unreadable


def _link(path: Path, target: Path) -> None:
    """Present a file; one that may not be read is presented as such, to be left out by name like links and devices."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            _link_or_copy(path, target)
        elif stat.S_ISDIR(mode):
            target.touch(mode=0)
        else:
            target.symlink_to(path)
    except PermissionError:
        target.unlink(missing_ok=True)
        target.touch(mode=0)


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError:  # another volume, somebody else's file, a file system without links
        shutil.copyfile(path, target)


def _replace(folders: Folders, out: Path) -> None:
    """Put what was written where it belongs, in place of an earlier preparation's."""
    for fresh in (folders.prepared, folders.report):
        final = out / fresh.name
        if final.exists():
            final.rename(fresh.with_name(f"old-{fresh.name}"))
        fresh.rename(final)


def _keep_quarantine(folders: Folders, out: Path, say: Callable[[str], None]) -> None:
    """Leave the list of what was left out, which explains why nothing could be prepared."""
    quarantine = folders.report / "quarantine.jsonl"
    if not quarantine.exists() or not quarantine.stat().st_size:
        return
    for earlier in ("prepared", "report"):
        if (out / earlier).exists():
            (out / earlier).rename(folders.work / f"old-{earlier}")
    (out / "report").mkdir()
    kept = quarantine.rename(out / "report" / quarantine.name)
    say(f"what was left out until then is listed in {kept}")
