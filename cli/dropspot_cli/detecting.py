"""`dropspot detect`: drop images, wait for their documents, show what was found."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dropspot import aws
from dropspot.errors import NotFoundError, TransientError
from dropspot.ports import ObjectStore
from dropspot_cli.console import counted
from dropspot_cli.drawing import draw_detections
from dropspot_cli.stack import Stack, shown
from dropspot_cli.uploads import IMAGES, Upload, image_uploads

DETECTIONS = "detections/"


@dataclass(frozen=True, slots=True)
class Dropped:
    """An image in the bucket; the document to wait for is the one that describes this version of it."""

    path: Path
    key: str
    etag: str
    version_id: str | None

    @property
    def document_key(self) -> str:
        return f"{DETECTIONS}{self.key.removeprefix(IMAGES)}.json"

    def is_described_by(self, document: Mapping[str, Any]) -> bool:
        """Whether the document describes these bytes, and not what lay under the key before."""
        image = document["image"]
        if self.version_id and image.get("version_id"):
            return bool(image["version_id"] == self.version_id)
        return bool(image["etag"].strip('"') == self.etag)


def drop(stack: Stack, sources: list[Path], below: str = "") -> list[Dropped]:
    """Upload the images and return them; each gets an event, also where the same bytes lay there before."""
    return [_put(stack, upload) for upload in image_uploads(sources, below)]


def _put(stack: Stack, upload: Upload) -> Dropped:
    # not upload_file: PutObject says which version it made
    with upload.path.open("rb") as body:
        answer = aws.client("s3").put_object(Bucket=stack.bucket, Key=upload.key, Body=body)
    return Dropped(upload.path, upload.key, answer["ETag"].strip('"'), answer.get("VersionId"))


def await_documents(
    store: ObjectStore,
    dropped: list[Dropped],
    *,
    timeout: float,
    arrived: Callable[[Dropped, dict[str, Any]], None] = lambda _image, _document: None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, dict[str, Any]]:
    """Return each image's document by the image's key; raise TransientError for one missing after `timeout` seconds."""
    waiting = list(dropped)
    found: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + timeout
    while waiting:
        for image in list(waiting):
            document = _document(store, image)
            if document is not None:
                waiting.remove(image)
                found[image.key] = document
                arrived(image, document)
        if not waiting:
            break
        if time.monotonic() >= deadline:
            names = ", ".join(image.key for image in waiting[:3]) + (" …" if len(waiting) > 3 else "")
            raise TransientError(
                f"No detections of {names} after {timeout:.0f} s. Images wait in their queue until"
                " a model is in service: see `dropspot runs`."
            )
        sleep(0.3)
    return found


def _document(store: ObjectStore, image: Dropped) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(store.read(image.document_key).body)
    except NotFoundError:
        return None
    return document if image.is_described_by(document) else None


def rejection_line(document: Mapping[str, Any]) -> str:
    """Return what is said of an image that the pipeline refused, in rich's markup."""
    rejection = document["rejection"]
    return f"[yellow]rejected[/] {escape(rejection['code'])}: {escape(rejection['message'])}"


def detections_table(document: Mapping[str, Any]) -> Table:
    """Return one image's table: label, score and the box in pixels from the top left."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("label")
    for column in ("score", "left", "top", "width", "height"):
        table.add_column(column, justify="right")
    for found in document["detections"]:
        pixels = (found["pixels"][side] for side in ("left", "top", "width", "height"))
        table.add_row(escape(found["label"]), f"{found['score']:.3f}", *(f"{value:.0f}" for value in pixels))
    if not document["detections"]:
        table.add_row("[dim]nothing found[/]")
    return table


def detect(
    stack: Stack, sources: list[Path], out: Path, console: Console, *, below: str = "", timeout: float = 120
) -> dict[str, dict[str, Any]]:
    """Drop the images, print each one's table as its document comes, and write the pictures with boxes to `out`."""
    dropped = drop(stack, sources, below)

    def show(image: Dropped, document: dict[str, Any]) -> None:
        console.print(f"[bold]{escape(image.key)}[/]", soft_wrap=True)
        if document["status"] == "rejected":
            console.print(rejection_line(document), soft_wrap=True)
        else:
            console.print(detections_table(document))
            draw_detections(image.path, document["detections"], out / f"{image.key.removeprefix(IMAGES)}.jpg")
        console.print()

    with console.status(f"waiting for the detections of {counted(len(dropped), 'image')}"):
        found = await_documents(stack.store, dropped, timeout=timeout, arrived=show)
    drawn = sum(document["status"] == "detected" for document in found.values())
    console.print(
        f"[green]✓[/] {counted(len(found), 'document')} under s3://{stack.bucket}/{DETECTIONS}", soft_wrap=True
    )
    if drawn:
        console.print(f"[green]✓[/] {counted(drawn, 'picture')} with boxes in {shown(out)}/", soft_wrap=True)
    return found
