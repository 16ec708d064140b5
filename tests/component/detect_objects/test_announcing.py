"""Image Detected and Image Rejected: for each new document, never lost, never for an unchanged one."""

from typing import Any

import pytest
from image_pipeline import KEY, RUN, Pipeline, picture

from dropspot.image_events import IMAGE_DETECTED, IMAGE_REJECTED, REDRIVEN


def test_a_new_document_is_told_of(pipeline: Pipeline) -> None:
    pipeline.handle(pipeline.upload(picture()))
    stored = pipeline.store.read(KEY)
    assert pipeline.services.bus.of(IMAGE_DETECTED) == [
        {
            "bucket": "the-bucket",
            "key": KEY,
            "etag": stored.etag,
            "version_id": stored.version_id,
            "document_key": "detections/a folder/cat+dog 100% été.jpg.json",
            "run_id": RUN.run_id,
            "counts": {"cat": 1, "dog": 1},
            "code": None,
        }
    ]
    assert pipeline.services.bus.of(IMAGE_REJECTED) == []


def test_a_rejection_is_told_of_with_its_code(pipeline: Pipeline) -> None:
    pipeline.handle(pipeline.upload(b"no picture"))
    (told,) = pipeline.services.bus.of(IMAGE_REJECTED)
    assert (told["code"], told["run_id"], told["counts"]) == ("unsupported_format", None, {})


def test_nothing_is_told_of_what_did_not_change(pipeline: Pipeline) -> None:
    events = [pipeline.upload(picture()), pipeline.upload(b"no picture", "images/text.jpg")]
    pipeline.handle(*events)
    pipeline.services.bus.events.clear()
    pipeline.handle(*events)
    pipeline.handle(pipeline.deleted("images/never.jpg"))
    pipeline.handle(pipeline.upload(b"", "images/.DS_Store"))
    assert pipeline.services.bus.events == []


@pytest.mark.parametrize("again", [{"receives": 2}, {REDRIVEN: "true"}])
def test_a_message_that_comes_again_tells_of_what_it_may_have_left_before(
    pipeline: Pipeline, again: dict[str, Any]
) -> None:
    event = pipeline.upload(picture())
    pipeline.handle(event)
    pipeline.services.bus.events.clear()
    pipeline.handle(event, **again)  # as after a worker that died before it could tell
    (told,) = pipeline.services.bus.of(IMAGE_DETECTED)
    assert told["key"] == KEY
    assert len(pipeline.services.inference.images) == 1


def test_a_document_whose_write_was_answered_too_late_is_told_of(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pipeline.store.write

    def write_and_lose_the_answer(key: str, body: bytes, **condition: Any) -> bool:
        write(key, body, **condition)
        return write(key, body, **condition)  # as the client tries again

    event = pipeline.upload(picture())
    monkeypatch.setattr(pipeline.store, "write", write_and_lose_the_answer)
    assert pipeline.handle(event) == []
    assert len(pipeline.services.bus.of(IMAGE_DETECTED)) == 1
    assert len(pipeline.services.inference.images) == 1


def test_an_event_that_the_bus_did_not_take_is_told_again_with_its_message(pipeline: Pipeline) -> None:
    def refuses(detail: Any) -> bool:
        return bool(detail["key"] == "images/b.jpg")

    pipeline.services.bus.refuses = refuses
    events = [pipeline.upload(picture(), f"images/{name}.jpg") for name in "abc"]
    assert pipeline.handle(*events) == ["message-1"]
    assert [told["key"] for told in pipeline.services.bus.of(IMAGE_DETECTED)] == ["images/a.jpg", "images/c.jpg"]
    assert pipeline.document("images/b.jpg")["status"] == "detected"
    pipeline.services.bus.refuses = lambda detail: False
    assert pipeline.handle(events[1], receives=2) == []
    assert pipeline.services.bus.of(IMAGE_DETECTED)[-1]["key"] == "images/b.jpg"
