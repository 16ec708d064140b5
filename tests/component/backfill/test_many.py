"""More images than a part takes: listed part by part, in a memory that their number doesn't fill."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from handlers import load_logic

from dropspot.backfills import Backfill, BackfillRequest
from dropspot.datasets import StoredObject
from dropspot.testing import MemoryStore

listing = load_logic("advance_backfill", "listing")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IMAGES = 12_000
PART = 5_000
ODD = ["été ", "a+b ", "100% ", 'quo"te ']


class ManyImages(MemoryStore):
    """A bucket of so many images, every tenth with its document, none of which is ever held."""

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        folder, suffix, step = ("images/", "", 1) if prefix.startswith("images/") else ("detections/", ".json", 10)
        start = 0
        if after > folder:
            start = max(0, int(after.removeprefix(folder)[:7] or 0) - 1)
            start -= start % step
        for number in range(start, IMAGES, step):
            key = f"{folder}{number:07d} {ODD[number % len(ODD)]}.jpg{suffix}"
            if key > after:
                yield StoredObject(key, "etag", 100_000, NOON)


def test_more_images_than_a_part_takes_are_listed_part_by_part_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MOST_IMAGES", PART)
    store, request = ManyImages(), BackfillRequest("images/")
    backfill = Backfill("dropspot", "all-0123456789")
    after, counts, keys = "", [], set()
    tracemalloc.start()
    for number in range(10):
        found = listing.list_part(store, request, after)
        listing.write_part(store, backfill.part(number), found)
        names = store.json(backfill.part(number).key("manifest.json"))
        assert names[0] == {"prefix": "s3://bucket/"}
        assert len(names) == 1 + len(found.images)
        keys.update(names[1:])
        counts.append(len(found.images))
        if found.last is None:
            break
        after = found.last
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts == [PART, PART, IMAGES * 9 // 10 - 2 * PART]
    assert len(keys) == sum(counts) == IMAGES * 9 // 10
    assert peak < 20_000_000
    line = store.read(backfill.part(0).key("listing.jsonl")).body.splitlines()[0]
    assert json.loads(line)["modified"] == "2026-01-01T12:00:00Z"
