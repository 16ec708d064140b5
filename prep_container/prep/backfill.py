"""A backfill's two jobs: which pictures go to the model as they are, and what the model said of them.

Both read and write JSON lines one by one, so that their number doesn't fill the memory. Where a line tells of something
that isn't there or makes no sense, its image is named among the others: it will be looked at one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any, TextIO

from dropspot.images import ImageRef, Model, Picture, detected_document
from dropspot.sniff import PAYLOAD_LIMIT, sniff

_DOCUMENTS_OF_A_FILE = 500
_SAID_EVERY = 10_000

Entry = dict[str, Any]


def run_task(task: str, root: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Do the job's task below `root`, which is /opt/ml in SageMaker."""
    given, made = root / "processing" / "input", root / "processing" / "output"
    if task == "sniff":
        sniff_pictures(given, made / "sniffed", environment["DROPSPOT_BUCKET"], say)
    else:
        harvest(given, made / "documents", environment["DROPSPOT_BUCKET"], datetime.now(UTC), say)


def sniff_pictures(given: Path, made: Path, bucket: str, say: Callable[[str], None]) -> None:
    """Divide the pictures that `listing.jsonl` names into those that fit, with what their headers say, and others.

    Writes `fitting.jsonl` and `others.jsonl`, the fitting ones as a `manifest.json`, and how many there are of both.
    """
    made.mkdir(parents=True, exist_ok=True)
    counts = {"fitting": 0, "others": 0}
    with ExitStack() as files:
        fitting, others, listed = (
            files.enter_context((made / name).open("w", encoding="utf-8"))
            for name in ("fitting.jsonl", "others.jsonl", "manifest.json")
        )
        listed.write(json.dumps([{"prefix": f"s3://{bucket}/"}])[:-1])
        for number, entry in enumerate(_lines(given / "listing" / "listing.jsonl"), start=1):
            if seen := _seen(given / "images" / entry["key"]):
                _write(fitting, entry | seen)
                listed.write(",\n" + json.dumps(entry["key"], ensure_ascii=False))
            else:
                _write(others, {"key": entry["key"]})
            counts["fitting" if seen else "others"] += 1
            if number % _SAID_EVERY == 0:
                say(f"sniffed {number} pictures")
        listed.write("]\n")
    _report(made, counts, say)


def _seen(path: Path) -> Entry | None:
    """Return what a picture's headers say, None where it doesn't go to the model as it is, or isn't there."""
    try:
        size = path.stat().st_size
        body = path.read_bytes() if size <= PAYLOAD_LIMIT else b""
    except OSError:
        return None
    header = sniff(body)
    if header is None or not header.passes(size):
        return None
    return {"size": size, "width": header.width, "height": header.height, "content_type": header.content_type}


def harvest(given: Path, made: Path, bucket: str, now: datetime, say: Callable[[str], None]) -> None:
    """Make the documents of the fitting pictures from the model's answers, files of some hundred each.

    `missing.jsonl` names those without an answer that makes sense.
    """
    made.mkdir(parents=True, exist_ok=True)
    model = _model(json.loads((given / "model" / "model.json").read_bytes()))
    counts = {"documents": 0, "missing": 0, "files": 0}
    with (made / "missing.jsonl").open("w", encoding="utf-8") as missing:

        def documents() -> Iterator[Entry]:
            for entry in _lines(given / "sniffed" / "fitting.jsonl"):
                if document := _document(entry, given / "raw", bucket, model, now):
                    yield {"modified": entry["modified"], "document": document}
                else:
                    counts["missing"] += 1
                    _write(missing, {"key": entry["key"]})

        found = documents()
        for number in count():
            batch = list(islice(found, _DOCUMENTS_OF_A_FILE))
            if not batch:
                break
            with (made / f"{number:05d}.jsonl").open("w", encoding="utf-8") as file:
                for each in batch:
                    _write(file, each)
            counts["documents"] += len(batch)
            counts["files"] += 1
    _report(made, counts, say)


def _document(entry: Entry, raw: Path, bucket: str, model: Model, now: datetime) -> Entry | None:
    """Return the picture's document but for its version, None where the model gave no answer that makes sense."""
    picture = Picture(
        ImageRef.from_key(bucket, entry["key"]),
        entry["etag"],
        None,
        entry["content_type"],
        entry["size"],
        width=entry["width"],
        height=entry["height"],
    )
    try:
        answer = json.loads((raw / f"{entry['key']}.out").read_bytes())
        return detected_document(picture, model, answer["prediction"], now)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _model(document: Entry) -> Model:
    """Return the model that a document of its fields describes."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    return Model(**fields)


def _lines(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file:
        yield from map(json.loads, file)


def _write(file: TextIO, entry: Entry) -> None:
    file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _report(made: Path, counts: dict[str, int], say: Callable[[str], None]) -> None:
    (made / "report.json").write_text(json.dumps(counts) + "\n", encoding="utf-8")
    say(", ".join(f"{number} {name}" for name, number in counts.items()))
