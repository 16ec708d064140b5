"""Uploads, deletions and second workers that come between any two steps of a look."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from image_pipeline import KEY, NEXT_RUN, QUEUE, RECHECK_SECONDS, ROWS, RUN, Pipeline, picture, settings

from dropspot.datasets import StoredObject
from dropspot.describing import ATTEMPTS
from dropspot.ports import StoredBytes
from dropspot.testing import MemoryStore, memory_services

DOCUMENT = "detections/a folder/cat+dog 100% été.jpg.json"


class InterruptedStore(MemoryStore):
    """A store in which something happens just before, or just after, each step."""

    def __init__(self) -> None:
        super().__init__("the-bucket")
        self.interrupt: Callable[[str], None] = lambda step: None
        self._is_inside = False

    def at(self, step: str) -> None:
        if not self._is_inside:
            self._is_inside = True
            self.interrupt(step)
            self._is_inside = False

    def head(self, key: str) -> str | None:
        if key != KEY or self._is_inside:
            return super().head(key)
        self.at("before head")
        found = super().head(key)
        self.at("after head")
        return found

    def read(self, key: str, *, limit: int | None = None) -> StoredBytes:
        step = {KEY: "read image", DOCUMENT: "read document"}.get(key, "read another")
        self.at(f"before {step}")
        try:
            return super().read(key, limit=limit)
        finally:
            self.at(f"after {step}")

    def write(self, key: str, body: bytes, *, if_match: str | None = None, if_absent: bool = False) -> bool:
        self.at("before write")
        found = super().write(key, body, if_match=if_match, if_absent=if_absent)
        self.at("after write")
        return found

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        self.at("before list")
        found = super().following(key, most=most)
        self.at("after list")
        return found

    def delete(self, key: str) -> None:
        self.at("before delete")
        super().delete(key)
        self.at("after delete")


@pytest.fixture
def store() -> InterruptedStore:
    return InterruptedStore()


@pytest.fixture
def interrupted(store: InterruptedStore) -> Pipeline:
    pipeline = Pipeline(memory_services(settings(), store=store))

    def predict(image: bytes) -> Any:
        store.at("invoke")
        return ROWS

    pipeline.serve(RUN, predict)
    return pipeline


def once(step: str, happening: Callable[[], object]) -> Callable[[str], None]:
    """Return an interruption that lets it happen when the step is first reached."""
    pending = [step]

    def interrupt(reached: str) -> None:
        if reached in pending:
            pending.remove(reached)
            happening()

    return interrupt


def around(*steps: str) -> list[str]:
    return ["invoke", *(f"{side} {step}" for step in steps for side in ("before", "after"))]


ALONE = around("read document", "read image", "write")
TOGETHER = around("list", "read image", "write")  # documents of a batch are looked for in one request
EITHER = [(1, boundary) for boundary in ALONE] + [(3, boundary) for boundary in TOGETHER]


@pytest.mark.parametrize(("batch", "boundary"), EITHER)
@pytest.mark.parametrize("is_described", [False, True])
def test_an_upload_meanwhile_is_what_the_document_describes_in_the_end(
    interrupted: Pipeline, store: InterruptedStore, boundary: str, is_described: bool, batch: int
) -> None:
    if is_described:
        interrupted.handle(interrupted.upload(picture(8, 8)))
    others = [interrupted.upload(picture(), f"images/{number}.jpg") for number in range(batch - 1)]
    event = interrupted.upload(picture(64, 32))
    store.interrupt = once(boundary, lambda: store.put(KEY, picture(16, 4)))
    assert interrupted.handle(event, *others) == []
    assert interrupted.handle(interrupted.created()) == []  # the upload's own event
    assert interrupted.document()["image"]["width"] == 16
    assert interrupted.document()["image"]["version_id"] == store.read(KEY).version_id


@pytest.mark.parametrize(("batch", "boundary"), EITHER)
@pytest.mark.parametrize("is_described", [False, True])
@pytest.mark.parametrize("is_quick", [False, True], ids=["its event afterwards", "its event at once"])
def test_a_deletion_meanwhile_leaves_no_document_in_the_end(
    interrupted: Pipeline, store: InterruptedStore, boundary: str, is_described: bool, is_quick: bool, batch: int
) -> None:
    if is_described:
        interrupted.handle(interrupted.upload(picture(8, 8)))
    others = [interrupted.upload(picture(), f"images/{number}.jpg") for number in range(batch - 1)]
    event = interrupted.upload(picture(64, 32))

    def delete() -> None:
        MemoryStore.delete(store, KEY)
        if is_quick:
            assert Pipeline(interrupted.services).handle(interrupted.deleted()) == []

    store.interrupt = once(boundary, delete)
    assert interrupted.handle(event, *others) == []
    if not is_quick:
        assert interrupted.handle(interrupted.deleted()) == []
    (again,) = interrupted.services.queues.sent
    assert (again.queue_url, again.delay_seconds) == (QUEUE, RECHECK_SECONDS)
    assert interrupted.handle(json.loads(again.body)) == []
    assert DOCUMENT not in store.keys("detections/")
    assert interrupted.services.queues.sent == [again]  # once is enough


def test_a_deletion_whose_second_look_cannot_be_arranged_comes_again_itself(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = pipeline.upload(picture())
    pipeline.store.delete(KEY)

    def send(*arguments: Any) -> None:
        raise RuntimeError("ServiceUnavailable")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.services.queues, "send", send)
        assert pipeline.handle(created, pipeline.deleted()) == ["message-1"]
    assert pipeline.handle(pipeline.deleted()) == []
    assert pipeline.services.queues.sent[0].delay_seconds == RECHECK_SECONDS


@pytest.mark.parametrize("boundary", ["before read image", "after read image", "before delete", "after delete"])
def test_an_upload_while_the_document_is_removed_keeps_its_document(
    interrupted: Pipeline, store: InterruptedStore, boundary: str
) -> None:
    interrupted.handle(interrupted.upload(picture(8, 8)))
    MemoryStore.delete(store, KEY)

    def upload_and_handle() -> None:
        second = Pipeline(interrupted.services)
        assert second.handle(second.upload(picture(64, 32))) == []

    store.interrupt = once(boundary, upload_and_handle)
    assert interrupted.handle(interrupted.deleted()) == []
    assert interrupted.document()["image"]["width"] == 64


@pytest.mark.parametrize("boundary", ALONE)
def test_two_workers_on_one_image_agree(interrupted: Pipeline, store: InterruptedStore, boundary: str) -> None:
    older = interrupted.upload(picture(64, 32))

    def second_worker() -> None:
        second = Pipeline(interrupted.services)
        assert second.handle(second.upload(picture(16, 4))) == []

    store.interrupt = once(boundary, second_worker)
    assert interrupted.handle(older) == []
    assert interrupted.document()["image"]["width"] == 16


def test_an_older_model_s_answer_never_replaces_a_newer_one_s(interrupted: Pipeline, store: InterruptedStore) -> None:
    event = interrupted.upload(picture())

    def redeploy_and_handle() -> None:
        interrupted.serve(NEXT_RUN)
        assert Pipeline(interrupted.services).handle(event) == []

    store.interrupt = once("invoke", redeploy_and_handle)  # the first worker's answer is still the older model's
    assert interrupted.handle(event) == []
    assert interrupted.document()["model"]["run_id"] == NEXT_RUN.run_id


def test_a_document_that_never_rests_is_tried_again_later(interrupted: Pipeline, store: InterruptedStore) -> None:
    event = interrupted.upload(picture())
    numbers = itertools.count()

    def interrupt(step: str) -> None:
        if step == "before write":
            store.put_json(DOCUMENT, {"somebody": next(numbers)})

    store.interrupt = interrupt
    assert interrupted.handle(event) == ["message-0"]
    assert len(interrupted.services.inference.images) == ATTEMPTS
    store.interrupt = lambda step: None
    assert interrupted.handle(event) == []
    assert interrupted.document()["image"]["etag"] == store.head(KEY)
