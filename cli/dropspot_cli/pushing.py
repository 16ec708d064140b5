"""`dropspot push`: a data set, or images, into the bucket; what is there already isn't sent again."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dropspot.datasets import prefix_of
from dropspot_cli import uploads
from dropspot_cli.console import counted
from dropspot_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did; `changed` is false where the bucket held everything before."""

    prefix: str
    changed: bool


def push_dataset(stack: Stack, sources: list[Path], name: str, console: Console, *, prune: bool = False) -> Pushed:
    """Bring the data set `name` into the bucket; with `prune`, objects that aren't among the sources go."""
    wanted = uploads.dataset_uploads(sources, name)
    return _push(stack, wanted, prefix_of(name), console, prune=prune)


def push_images(stack: Stack, sources: list[Path], below: str, console: Console) -> Pushed:
    """Bring images into the bucket, to be looked at."""
    return _push(stack, uploads.image_uploads(sources, below), uploads.IMAGES, console, prune=False)


def _push(stack: Stack, wanted: list[uploads.Upload], prefix: str, console: Console, *, prune: bool) -> Pushed:
    present = {found.key: found for found in stack.store.objects(prefix)}
    new = uploads.missing(wanted, present)
    gone = sorted(present.keys() - {upload.key for upload in wanted}) if prune else []
    with transfer_bar(console) as bar:
        task = bar.add_task("uploading", total=sum(upload.size for upload in new), visible=bool(new))
        uploads.send(stack.bucket, new, lambda sent: bar.advance(task, sent))
    uploads.delete(stack.bucket, gone)
    same = len(wanted) - len(new)
    notes = [f"{same} there already"] if same else []
    notes += [f"{len(gone)} deleted"] if gone else []
    note = f" ({', '.join(notes)})" if notes else ""
    console.print(
        f"[green]✓[/] uploaded {counted(len(new), 'file')} to s3://{stack.bucket}/{escape(prefix)}{note}",
        soft_wrap=True,
    )
    return Pushed(prefix, changed=bool(new or gone))


def transfer_bar(console: Console) -> Progress:
    """Return a progress bar for bytes; it goes away when it is done, and shows nothing where stdout is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
