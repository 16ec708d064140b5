"""Documents that a backfill puts in place, while uploads, deletions and detect_objects come between any two steps."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backfill_world import NEXT_RUN, ROWS, RUN, World, picture
from handlers import FakeContext, load_logic

from dropspot.backfills import Backfill
from dropspot.errors import InvalidInputError, TransientError
from dropspot.image_events import IMAGE_DETECTED
from dropspot.images import ImageRef
from dropspot.ports import ObjectVersion, StoredBytes
from dropspot.testing import MemoryStore

sys.path.append(str(Path(__file__).parents[1] / "detect_objects"))

from image_pipeline import Pipeline  # found by the line above

KEY = "images/a b+c/été.jpg"
DOCUMENT = ImageRef("bucket", KEY).detections_key
STEPS = [f"{when} {step}" for step in ("read document", "look", "write") for when in ("before", "after")]


class InterruptedStore(MemoryStore):
    """A store in which something happens, once, just before or just after a step of publishing."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupts: dict[str, Callable[[], None]] = {}

    def at(self, step: str) -> None:
        self.interrupts.pop(step, lambda: None)()

    def read(self, key: str, **limits: Any) -> StoredBytes:
        if key != DOCUMENT:
            return super().read(key, **limits)
        self.at("before read document")
        try:
            return super().read(key, **limits)
        finally:
            self.at("after read document")

    def version(self, key: str) -> ObjectVersion | None:
        self.at("before look")
        found = super().version(key)
        self.at("after look")
        return found

    def write(self, key: str, body: bytes, *, if_match: str | None = None, if_absent: bool = False) -> bool:
        if key != DOCUMENT:
            return super().write(key, body, if_match=if_match, if_absent=if_absent)
        self.at("before write")
        found = super().write(key, body, if_match=if_match, if_absent=if_absent)
        self.at("after write")
        return found


@pytest.fixture
def store() -> InterruptedStore:
    return InterruptedStore()


@pytest.fixture
def raced(world: World, store: InterruptedStore) -> World:
    """Give a world over that store, with detect_objects beside it."""
    world.world = replace(world.world, store=store, clock=store.clock, now=store.clock.now)
    world.serve(RUN)
    store.put(KEY, picture())
    return world


@pytest.fixture
def detect(raced: World) -> Pipeline:
    pipeline = Pipeline()
    pipeline.services = replace(pipeline.services, store=raced.store)
    pipeline.services.inference.serve("dropspot-endpoint", RUN.run_id, lambda image: ROWS)
    return pipeline


def ready(world: World, **options: Any) -> Backfill:
    """Take a backfill as far as its documents are made, but not put in place."""
    backfill = world.request(**options)
    for work in (world.sniff, world.look):
        work(backfill.part(0))
        world.advance(backfill)
    world.harvest(backfill.part(0))
    return backfill


@pytest.mark.parametrize("had_document", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("change", ["upload", "deletion", "upload of the same bytes"])
def test_the_newest_image_has_its_document_in_the_end(
    raced: World, store: InterruptedStore, detect: Pipeline, change: str, step: str, had_document: bool
) -> None:
    if had_document:
        detect.handle(detect.created(KEY))
        raced.world.clock.advance(5)
    raced.predict = lambda key, image: [[0.0, 0.9, 0.0, 0.0, 1.0, 1.0]]  # so that there is something to write
    backfill = ready(raced, redetect=True)

    def interrupt() -> None:
        raced.world.clock.advance(1)
        if change == "deletion":
            store.delete(KEY)
            detect.handle(detect.deleted(KEY))
        else:
            store.put(KEY, picture(48, 24) if change == "upload" else picture())
            detect.handle(detect.created(KEY))

    store.interrupts[step] = interrupt
    raced.advance(backfill)
    assert store.interrupts == {}
    for message in raced.world.queues.sent:
        assert detect.handle(json.loads(message.body)) == []
    if change == "deletion":
        assert store.head(DOCUMENT) is None
    else:
        stored, image = store.read(KEY), raced.document(KEY)["image"]
        assert (image["etag"], image["version_id"]) == (stored.etag, stored.version_id)
        assert image["width"] == (48 if change == "upload" else 64)


def test_a_newer_model_s_word_is_never_replaced(raced: World, store: InterruptedStore, detect: Pipeline) -> None:
    backfill = ready(raced, redetect=True)
    raced.serve(NEXT_RUN)
    detect.services.inference.serve("dropspot-endpoint", NEXT_RUN.run_id, lambda image: ROWS)
    detect.handle(detect.created(KEY))
    raced.advance(backfill)
    assert raced.document(KEY)["model"]["run_id"] == NEXT_RUN.run_id
    assert raced.queued() == []


@pytest.mark.parametrize("redetect", [False, True])
def test_a_newer_model_s_refusal_is_never_replaced(raced: World, detect: Pipeline, redetect: bool) -> None:
    def refuse(image: bytes) -> Any:
        raise InvalidInputError("the model's container answered 400: no")

    backfill = ready(raced, redetect=redetect)
    detect.serve(NEXT_RUN, refuse)
    detect.handle(detect.created(KEY))
    raced.advance(backfill)
    assert raced.document(KEY)["rejection"]["run_id"] == NEXT_RUN.run_id
    assert raced.queued() == []


def test_an_older_model_s_word_is_better_than_none(raced: World) -> None:
    backfill = ready(raced)
    raced.serve(NEXT_RUN)
    raced.advance(backfill)
    assert raced.document(KEY)["model"]["run_id"] == RUN.run_id


def test_an_equal_document_is_left_alone(raced: World, store: InterruptedStore) -> None:
    raced.finish(raced.request().part(0))
    before = store.read(DOCUMENT)
    raced.world.clock.advance(60)
    backfill = raced.request(redetect=True, cause="event-2")
    raced.finish(backfill.part(0))
    assert store.read(DOCUMENT) == before
    assert raced.store.json(backfill.part(0).key("published.json"))["documents"] == {"unchanged": 1}


@pytest.mark.parametrize("foreign", [b"not json", b"[]", b"{}", b'{"model": 3}'])
def test_what_lies_in_the_document_s_place_is_replaced(raced: World, store: InterruptedStore, foreign: bytes) -> None:
    store.put(DOCUMENT, foreign)
    raced.world.clock.advance(1)
    raced.finish(raced.request(redetect=True).part(0))
    assert raced.document(KEY)["status"] == "detected"


def test_a_publisher_that_is_at_it_is_not_joined_and_one_that_died_is_followed(raced: World) -> None:
    backfill = ready(raced)
    note = {"done": 0, "counts": {}, "busy_until": "2026-01-01T01:30:00Z"}
    raced.store.put_json(backfill.part(0).key("publishing.json"), note)
    raced.advance(backfill)
    assert raced.store.head(DOCUMENT) is None
    raced.world.clock.advance(3 * 3600)
    raced.advance(backfill)
    assert raced.document(KEY)["status"] == "detected"


def test_publishing_goes_on_with_the_file_where_it_stopped(raced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prep.backfill._DOCUMENTS_OF_A_FILE", 1)
    for name in "bc":
        raced.store.put(f"images/{name}.jpg", picture())
    backfill = ready(raced)
    times = iter([890_000, 890_000, 0, 0])

    class Short(FakeContext):
        def get_remaining_time_in_millis(self) -> int:
            return next(times)

    raced.advance(backfill, Short())
    note = raced.store.json(backfill.part(0).key("publishing.json"))
    assert (note["done"], note["counts"], note["busy_until"]) == (2, {"written": 2}, "")
    raced.advance(backfill)
    assert raced.store.json(backfill.part(0).key("published.json"))["documents"] == {"written": 3}
    assert len(raced.store.keys("detections/")) == 3


def test_each_document_is_told_of_as_detect_objects_tells_of_its_own(raced: World, detect: Pipeline) -> None:
    raced.finish(raced.request().part(0))
    [told] = raced.world.bus.of(IMAGE_DETECTED)
    raced.store.delete(DOCUMENT)
    detect.handle(detect.created(KEY))
    assert detect.services.bus.of(IMAGE_DETECTED) == [told]


def test_a_document_that_nobody_was_told_of_is_told_of_by_the_next_publisher(raced: World) -> None:
    backfill = ready(raced)
    raced.world.bus.refuses = lambda detail: detail.get("key") == KEY
    with pytest.raises(TransientError, match="didn't take 1 of 1"):
        raced.advance(backfill)
    raced.world.bus.refuses = lambda detail: False
    raced.world.clock.advance(3600)
    raced.advance(backfill)
    assert len(raced.world.bus.of(IMAGE_DETECTED)) == 1


def test_publishing_reads_lines_of_any_number_piece_by_piece(raced: World) -> None:
    lines = load_logic("advance_backfill", "publishing").lines
    raced.store.put("many.jsonl", b"".join(b'{"key": "images/%d"}\n' % number for number in range(150_000)))
    assert sum(1 for _ in lines(raced.store, "many.jsonl")) == 150_000
    raced.store.put("cut.jsonl", b'{"key": 1}\n{"key": 2}')
    assert [entry["key"] for entry in lines(raced.store, "cut.jsonl")] == [1, 2]
    assert list(lines(raced.store, "none.jsonl")) == []
