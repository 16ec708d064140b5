"""`dropspot audit`: every image held against its document, and every document against its image."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape

from dropspot import documents, endpoint
from dropspot.comparison import Pair, orphans, pairs
from dropspot.describing import understood
from dropspot.errors import NotFoundError
from dropspot.images import REFUSED_BY_MODEL, ImageRef, judged_by
from dropspot.look_again import look_again
from dropspot.ports import ObjectStore
from dropspot.settled import Settled
from dropspot_cli.console import counted

_READERS = 32  # each waits for S3
_AT_ONCE = 1000
_SHOWN = 5

MISSING = "without a document"
FOREIGN = "with something else in the document's place"
OUTDATED = "with the document of an earlier image"
OTHER_MODEL = "with a document of another model than the one in service"
REFUSED_BY_NOBODY = "refused by a model, it isn't known which"
ORPHAN = "gone, with a document left behind"


@dataclass(frozen=True, slots=True)
class Finding:
    """An image whose document isn't what it should be, by its key, and what is wrong."""

    key: str
    fault: str


def audit(store: ObjectStore, prefix: str) -> Iterator[Finding]:
    """Yield what is wrong below a prefix of images. Every document is read, some at a time."""
    champion = (documents.read_or_none(store, endpoint.CHAMPION) or {}).get("run_id")
    is_settled = Settled.read(store) is not None
    images = pairs(store, prefix)
    with ThreadPoolExecutor(_READERS) as pool:
        while page := list(islice(images, _AT_ONCE)):
            faults = pool.map(lambda pair: fault_of(store, pair, champion, is_settled=is_settled), page)
            yield from (
                Finding(pair.image.key, fault) for pair, fault in zip(page, faults, strict=True) if fault is not None
            )
    for document in orphans(store, prefix):
        yield Finding(ImageRef.from_detections_key(store.bucket, document.key).key, ORPHAN)


def fault_of(store: ObjectStore, pair: Pair, champion: str | None, *, is_settled: bool) -> str | None:
    """Return what is wrong with an image's document, None where it is as it should be.

    A refusal that names nobody is one only once a single model answers: the next refusal names it.
    """
    if pair.document is None:
        return MISSING
    try:
        document = understood(store.read(pair.document.key).body)
    except NotFoundError:
        return MISSING
    if document is None:
        return FOREIGN
    if document["image"]["etag"] != pair.image.etag or (pair.lags() and not _names_present(store, pair, document)):
        return OUTDATED
    judge = judged_by(document)
    if judge is None and (document["rejection"] or {}).get("code") == REFUSED_BY_MODEL:
        return REFUSED_BY_NOBODY if is_settled else None
    return OTHER_MODEL if judge not in {None, champion} else None


def _names_present(store: ObjectStore, pair: Pair, document: dict[str, Any]) -> bool:
    """Tell whether the document names the image's present version, which no listing of objects does.

    It is asked for only where the dates leave a doubt: the same bytes uploaded again have the same ETag.
    """
    version = store.version(pair.image.key)
    return version is None or document["image"]["version_id"] == version.version_id


def report(findings: Iterable[Finding], console: Console, send: Callable[[list[str]], object] | None) -> int:
    """Count and show what was found, and give it to `send` as messages for the image queue; return the number."""
    counts: dict[str, int] = defaultdict(int)
    examples: dict[str, list[str]] = defaultdict(list)
    waiting = iter(findings)
    while page := list(islice(waiting, _AT_ONCE)):
        for found in page:
            counts[found.fault] += 1
            if len(examples[found.fault]) < _SHOWN:
                examples[found.fault].append(found.key)
        if send:
            send([look_again(found.key) for found in page])
    for fault, number in counts.items():
        console.print(f"{counted(number, 'image')} {fault}")
        for key in examples[fault]:
            console.print(f"    {escape(key)}", soft_wrap=True)
        if number > len(examples[fault]):
            console.print(f"    and {number - len(examples[fault])} more")
    return sum(counts.values())
