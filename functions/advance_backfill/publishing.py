"""The documents that a part's jobs made are put in place, and told of."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dropspot import documents
from dropspot.backfills import Part
from dropspot.documents import timestamp
from dropspot.errors import NotFoundError, TransientError
from dropspot.image_events import announcement
from dropspot.placing import Placed, Placer
from dropspot.ports import EventBus, ObjectStore

_THREADS = 32  # each waits for S3
_BUSY = timedelta(minutes=5)  # after which a publisher that said nothing is taken for dead


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the publishing of a part is: how many of its files of documents are done, and what became of those."""

    files: int
    done: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return self.done == self.files


def publish(
    part: Part,
    placer: Placer,
    bus: EventBus,
    hand_over: Callable[[list[str]], object],
    has_time: Callable[[], bool],
) -> Progress | None:
    """Put the part's documents in place and tell of them, as far as the time goes; None where somebody else is at it.

    `hand_over` is given the keys of images that are left to the image queue. `publishing.json` says how far it is, and
    until when nobody else need come.
    """
    store, now = placer.store, placer.now
    files = documents.read(store, part.key("documents", "report.json"))["files"]
    before = documents.read_or_none(store, part.key("publishing.json")) or {"done": 0, "counts": {}, "busy_until": ""}
    if before["busy_until"] > timestamp(now()):
        return None
    progress, is_repeated = Progress(files, before["done"], before["counts"]), bool(before["busy_until"])

    def put(entry: dict[str, Any]) -> Placed:
        return placer.put(entry["document"], entry["modified"])

    with ThreadPoolExecutor(_THREADS) as pool:
        while not progress.is_complete and has_time():
            _note(part, progress, store, busy_until=timestamp(now() + _BUSY))
            entries = list(lines(store, part.key("documents", f"{progress.done:05d}.jsonl")))
            ended = list(zip(entries, pool.map(put, entries), strict=True))
            # Whoever died over this file may have left documents that nobody was told of.
            told = {Placed.WRITTEN, Placed.UNCHANGED} if is_repeated else {Placed.WRITTEN}
            _announce([entry["document"] for entry, outcome in ended if outcome in told], bus)
            hand_over([entry["document"]["image"]["key"] for entry, outcome in ended if outcome is Placed.LEFT])
            counts = Counter(progress.counts) + Counter(outcome.value for _, outcome in ended)
            progress, is_repeated = Progress(files, progress.done + 1, dict(counts)), False
    _note(part, progress, store)
    return progress


def _announce(made: list[dict[str, Any]], bus: EventBus) -> None:
    taken = bus.put_all([announcement(document) for document in made])
    if not all(taken):
        raise TransientError(f"announce documents: the event bus didn't take {taken.count(False)} of {len(taken)}")


def _note(part: Part, progress: Progress, store: ObjectStore, *, busy_until: str = "") -> None:
    note = {"done": progress.done, "counts": progress.counts, "busy_until": busy_until}
    documents.write(store, part.key("publishing.json"), note)


def lines(store: ObjectStore, key: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a file of JSON lines, in memory that it doesn't fill; nothing where there is none."""
    rest = b""
    try:
        for piece in store.pieces(key):
            *whole, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, whole)
    except NotFoundError:
        return
    if rest:
        yield json.loads(rest)
