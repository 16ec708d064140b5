"""A batch's images in flight together, what is given back, what is given up, and what is asked of S3."""

import json
import threading
import time
from collections import Counter
from typing import Any

import pytest
from handlers import FakeContext
from image_pipeline import DEAD_LETTER_QUEUE, QUEUE, RECEIVES, ROWS, RUN, Pipeline, app, picture

from dropspot import giving_back
from dropspot.answering import variant_of
from dropspot.errors import NotFoundError, TransientError
from dropspot.image_events import REDRIVEN
from dropspot.images import ImageRef
from dropspot.look_again import look_again
from dropspot.testing import MessageAside, SentMessage


def counted(output: str) -> dict[str, float]:
    """Return the metrics of the only invocation in the output, summed by name."""
    (blob,) = [json.loads(line) for line in output.splitlines() if "_aws" in line]
    names = [metric["Name"] for group in blob["_aws"]["CloudWatchMetrics"] for metric in group["Metrics"]]
    return {name: sum(blob[name]) for name in names if name != "ColdStart"}


def test_images_of_a_batch_are_in_flight_together_and_no_more_of_them_than_threads(pipeline: Pipeline) -> None:
    together, most, lock = threading.Barrier(4), [0, 0], threading.Lock()

    def predict(image: bytes) -> Any:
        with lock:
            most[0] += 1
            most[1] = max(most)
        together.wait(timeout=10)  # goes on only when four are there at once
        with lock:
            most[0] -= 1
        return ROWS

    pipeline.serve(RUN, predict)
    events = [pipeline.upload(picture(number + 8, 8), f"images/{number}.jpg") for number in range(8)]
    assert pipeline.handle(*events) == []
    assert most[1] == 4
    assert [pipeline.document(f"images/{number}.jpg")["image"]["width"] for number in range(8)] == [*range(8, 16)]


def test_logs_and_metrics_of_a_batch_tell_of_each_image(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def predict(image: bytes) -> Any:
        time.sleep(0.001)
        if image == picture(15, 8):
            raise TransientError("invoke dropspot-endpoint: ThrottlingException")
        return ROWS

    pipeline.serve(RUN, predict)
    events = [pipeline.upload(picture(number + 8, 8), f"images/{number}.jpg") for number in range(8)]
    events += [pipeline.upload(b"no picture", "images/text.jpg"), pipeline.upload(b"", "images/.DS_Store")]
    assert pipeline.handle(*events) == ["message-7"]
    told = [vars(record) for record in caplog.records]
    assert {entry["image"]: entry["outcome"] for entry in told if entry["msg"] == "Image processed"} == {
        f"images/{number}.jpg": "ImagesDetected" for number in range(7)
    } | {
        "images/text.jpg": "ImagesRejected",
        "images/.DS_Store": "ObjectsIgnored",
    }
    (failed,) = [entry for entry in told if entry["levelname"] == "ERROR"]
    assert (failed["message_id"], failed["receives"]) == ("message-7", 1)
    assert "ThrottlingException" in str(failed["exc_info"])
    counts = {"ImagesDetected": 7, "ImagesRejected": 1, "ObjectsIgnored": 1, "ImagesFailed": 1}
    assert counted(capsys.readouterr().out) == counts


def test_a_failed_image_rests_longer_each_time_and_at_random(pipeline: Pipeline) -> None:
    def predict(image: bytes) -> Any:
        raise TransientError("throttled")

    pipeline.serve(RUN, predict)
    event = pipeline.upload(picture())
    for receives in range(1, RECEIVES):
        assert len(pipeline.handle(event, receives=receives)) == 1
    rests = [postponed.seconds for postponed in pipeline.services.queues.postponed]
    assert [postponed.queue_url for postponed in pipeline.services.queues.postponed] == [QUEUE] * 9
    for number, rest in enumerate(rests):
        assert 2**number <= rest <= 2 ** (number + 1)
    assert len({giving_back.rest_seconds(TransientError(""), 9) for _ in range(50)}) > 10
    assert giving_back.rest_seconds(NotFoundError(""), 1000) <= giving_back.LONGEST_SECONDS


def test_what_is_given_up_lies_in_the_dead_letter_queue_with_its_reason(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(image: bytes) -> Any:
        raise TransientError("invoke dropspot-endpoint: the model's\x00 container answered 500:\n\ud800")

    pipeline.serve(RUN, predict)
    event = pipeline.upload(picture())
    assert pipeline.handle(event, receives=RECEIVES) == []
    reason = "invoke dropspot-endpoint: the model's? container answered 500: ?"
    assert pipeline.services.queues.aside == [
        MessageAside(DEAD_LETTER_QUEUE, json.dumps(event), "TransientError", reason)
    ]
    assert pipeline.services.queues.postponed == []
    assert counted(capsys.readouterr().out) == {"ImagesFailed": 1, "ImagesGivenUp": 1}
    assert pipeline.store.keys("detections/") == []


@pytest.mark.parametrize("foreign", [{}, {"detail": {"object": {}}}, {"detail": 1}, [], 7])
def test_a_message_that_is_no_event_does_not_stop_the_others(pipeline: Pipeline, foreign: Any) -> None:
    assert pipeline.handle(pipeline.upload(picture(), "images/a.jpg"), foreign) == ["message-1"]
    assert pipeline.document("images/a.jpg")["status"] == "detected"


@pytest.mark.parametrize(
    "error", [KeyError("prediction"), AttributeError(), MemoryError(), SystemExit(1), ValueError()]
)
def test_whatever_one_image_raises_is_the_error_of_its_own_message(pipeline: Pipeline, error: BaseException) -> None:
    def predict(image: bytes) -> Any:
        if image == picture(8, 8):
            raise error
        return ROWS

    pipeline.serve(RUN, predict)
    events = [pipeline.upload(picture(8 + number, 8), f"images/{number}.jpg") for number in range(3)]
    assert pipeline.handle(*events) == ["message-0"]
    assert [pipeline.document(f"images/{number}.jpg")["status"] for number in (1, 2)] == ["detected"] * 2


@pytest.mark.parametrize("refused", ["set_aside", "postpone"])
def test_a_queue_that_does_not_take_one_message_spoils_no_other(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("InvalidParameterValue")

    monkeypatch.setattr(pipeline.services.queues, refused, fail)
    events: list[Any] = [pipeline.upload(picture(), "images/a.jpg"), {}]
    assert pipeline.handle(*events, receives=RECEIVES if refused == "set_aside" else 1) == ["message-1"]
    assert pipeline.document("images/a.jpg")["status"] == "detected"


def test_a_deletion_that_cannot_be_checked_again_spoils_no_other(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*arguments: Any) -> None:
        raise RuntimeError("ServiceUnavailable")

    monkeypatch.setattr(pipeline.services.queues, "send", send)
    events = [pipeline.deleted("images/gone.jpg"), pipeline.upload(picture(), "images/a.jpg")]
    assert pipeline.handle(*events) == ["message-0"]


def test_a_document_that_cannot_be_told_of_spoils_no_other(pipeline: Pipeline) -> None:
    event = pipeline.upload(picture(), "images/odd.jpg")
    pipeline.handle(event)
    key = ImageRef.from_key("the-bucket", "images/odd.jpg").detections_key
    document = pipeline.store.json(key)
    del document["image"]["key"]
    pipeline.store.put_json(key, document)
    other = pipeline.upload(picture(), "images/a.jpg")
    assert pipeline.handle(event, other, receives=2) == ["message-2"]


def test_a_bus_that_refuses_everything_gives_back_what_had_something_to_tell(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_all(events: Any) -> Any:
        raise RuntimeError("AccessDeniedException")

    described = pipeline.upload(picture(), "images/described.jpg")
    pipeline.handle(described)
    monkeypatch.setattr(pipeline.services.bus, "put_all", put_all)
    assert pipeline.handle(described, pipeline.upload(picture(), "images/new.jpg")) == ["message-3"]


def test_a_key_that_is_no_text_spoils_no_other(pipeline: Pipeline) -> None:
    foreign = {"detail-type": "Object Created", "detail": {"object": {"key": "images/\ud800.jpg"}}}
    assert pipeline.handle(foreign, pipeline.upload(picture(), "images/a.jpg")) == ["message-0"]


def test_several_events_of_one_image_are_one_look_at_its_newest_version(pipeline: Pipeline) -> None:
    def predict(image: bytes) -> Any:
        time.sleep(0.05)  # looks of their own would be under way together
        return ROWS

    pipeline.serve(RUN, predict)
    older = pipeline.upload(picture(64, 32))
    newer = pipeline.upload(picture(16, 8))
    newer["detail"]["object"]["sequencer"] = "617f08299329d190"
    assert pipeline.handle(newer, older, newer, newer) == []
    assert len(pipeline.services.inference.images) == 1
    image = pipeline.document()["image"]
    assert (image["width"], image["sequencer"]) == (16, "617f08299329d190")
    assert len(pipeline.services.bus.events) == 1


def test_what_any_of_an_image_s_events_asks_for_is_done(pipeline: Pipeline) -> None:
    event = pipeline.upload(picture())
    key = event["detail"]["object"]["key"]
    pipeline.handle(event)
    pipeline.handle(event, json.loads(look_again(key, anew=True)))
    assert len(pipeline.services.inference.images) == 2
    pipeline.store.delete(key)
    pipeline.handle(pipeline.deleted(), event, pipeline.deleted())
    assert pipeline.store.keys("detections/") == []
    assert len(pipeline.services.queues.sent) == 1  # it is looked at again once


def test_several_messages_of_one_image_fail_together(pipeline: Pipeline) -> None:
    event = pipeline.upload(picture())
    pipeline.services.inference.withdraw("dropspot-endpoint")
    assert pipeline.handle(event, event) == ["message-0", "message-1"]


@pytest.mark.parametrize("error", [TransientError("list s3://the-bucket: SlowDown"), RuntimeError("AccessDenied")])
def test_without_the_listing_every_document_is_looked_for(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def following(key: str, *, most: int) -> Any:
        raise error

    monkeypatch.setattr(pipeline.store, "following", following)
    events = [pipeline.upload(picture(), f"images/{name}.jpg") for name in "abcd"]
    assert pipeline.handle(*events) == []
    assert pipeline.handle(*events) == []
    assert len(pipeline.services.inference.images) == 4


def test_an_image_is_not_begun_without_time_to_end_it(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeContext, "get_remaining_time_in_millis", lambda self: app.RESERVED_MILLISECONDS - 1)
    event = pipeline.upload(picture())
    assert pipeline.handle(event, receives=RECEIVES) == []
    assert pipeline.handle(event) == []
    assert pipeline.services.inference.images == []
    # It comes again as a new message, all its receives before it. Whether it has been told of isn't forgotten.
    body = json.dumps(event)
    assert pipeline.services.queues.sent == [
        SentMessage(QUEUE, body, 0, {REDRIVEN: "true"}),
        SentMessage(QUEUE, body, 0),
    ]
    assert pipeline.services.queues.aside == pipeline.services.queues.postponed == []


@pytest.fixture
def asked(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of S3, with the model's class names read before."""
    found: list[str] = []

    def counting(name: str) -> Any:
        original = getattr(pipeline.store, name)

        def call(key: str, *arguments: Any, **named: Any) -> Any:
            if (name, key.partition("/")[0]) != ("head", "detections"):  # the memory's own, of a conditional write
                found.append(f"{name} {key.partition('/')[0]}")
            return original(key, *arguments, **named)

        return call

    assert pipeline.handle(pipeline.upload(picture(), "images/first.jpg")) == []
    for name in ("read", "head", "version", "write", "delete", "objects", "following"):
        monkeypatch.setattr(pipeline.store, name, counting(name))
    return found


def test_a_new_image_alone_takes_three_requests_of_s3_and_a_described_one_two(
    pipeline: Pipeline, asked: list[str]
) -> None:
    event = pipeline.upload(picture())
    asked.clear()
    assert pipeline.handle(event) == []
    assert asked == ["read detections", "read images", "write detections"]
    asked.clear()
    assert pipeline.handle(event) == []
    assert asked == ["read detections", "version images", "read endpoint"]


def test_ten_new_images_take_one_read_and_one_write_each_and_one_listing(pipeline: Pipeline, asked: list[str]) -> None:
    events = [pipeline.upload(picture(number + 8, 8), f"images/{number}.jpg") for number in range(10)]
    asked.clear()
    assert pipeline.handle(*events) == []
    requests = {"following detections": 1, "read images": 10, "write detections": 10, "objects ": 1}
    assert Counter(asked) == requests


def test_what_is_in_service_is_asked_once_for_a_batch_whose_container_does_not_say(
    pipeline: Pipeline, asked: list[str]
) -> None:
    pipeline.services.inference.serve("dropspot-endpoint", variant_of(["cat", "dog"]), lambda image: ROWS)
    events = [pipeline.upload(picture(number + 8, 8), f"images/{number}.jpg") for number in range(4)]
    pipeline.handle(events[0])
    asked.clear()
    assert pipeline.handle(*events[1:]) == []
    assert Counter(asked)["read endpoint"] <= pipeline.services.settings.detect_threads
    assert pipeline.document("images/3.jpg")["model"]["run_id"] == RUN.run_id


def test_documents_that_the_listing_did_not_reach_are_looked_for_one_by_one(
    pipeline: Pipeline, asked: list[str]
) -> None:
    names = ["a", "b", "y", "z"]
    events = [pipeline.upload(picture(), f"images/{name}.jpg") for name in names]
    for number in range(100):
        pipeline.store.put(f"detections/m{number:03d}.jpg.json", b"{}")
    pipeline.handle(events[1], events[3])
    asked.clear()
    assert pipeline.handle(*events) == []
    found = Counter(asked)
    assert found["read detections"] == 3  # b has a document; y and z lie behind what was listed
    assert (found["read images"], found["write detections"]) == (2, 2)
    assert [pipeline.document(f"images/{name}.jpg")["status"] for name in names] == ["detected"] * 4
