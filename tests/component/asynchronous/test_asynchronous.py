"""Asynchronous mode from an image's event to its document: detect_objects asks, collect_detections takes the answer."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from handlers import FakeContext, load_handler

from dropspot import endpoint
from dropspot.awaiting import ANSWERS, MOST_FAILURES, PREFIX, Answered, inference_id
from dropspot.errors import InvalidInputError
from dropspot.giving_back import DEPLOYMENT_SECONDS
from dropspot.image_events import IMAGE_DETECTED, IMAGE_REJECTED
from dropspot.images import ImageRef, Picture
from dropspot.look_again import look_again
from dropspot.ports import Endpoint
from dropspot.runs import Run
from dropspot.settled import note
from dropspot.testing import MemoryServices, MemoryStore, SentMessage

sys.path.append(str(Path(__file__).parents[1] / "detect_objects"))

from image_pipeline import (  # found by the line above
    DEAD_LETTER_QUEUE,
    KEY,
    NEXT_RUN,
    QUEUE,
    ROWS,
    RUN,
    Pipeline,
    picture,
    settings,
)

collect = load_handler("collect_detections")
PLAIN = "images/plain/cat-1_(2)!*'.jpg"
ANSWER_QUEUE = f"{QUEUE}-answers"


@dataclass
class World:
    """Both functions over one bucket; `ask` and `answer` let time go on."""

    pipeline: Pipeline = field(default_factory=Pipeline)

    def __post_init__(self) -> None:
        self.pipeline.services = replace(self.pipeline.services, settings=settings(inference_mode="async"))
        self.serve()

    @property
    def services(self) -> MemoryServices[Any]:
        return self.pipeline.services

    @property
    def store(self) -> MemoryStore:
        return self.pipeline.store

    @property
    def asked(self) -> dict[str, str]:
        return self.services.inference.submitted

    def serve(self, run: Any = RUN, status: str = "InService", pending: str = "") -> None:
        self.pipeline.serve(run)
        self.services.hosting.endpoints["dropspot-endpoint"] = Endpoint(
            status, run.endpoint_config, self.services.clock.now(), pending=pending
        )

    def reconcile(self) -> None:
        """Write down whose model answers alone, as each pass does."""
        champion = Run.from_id("dropspot", self.store.json(endpoint.CHAMPION)["run_id"])
        note(self.store, self.services.hosting.endpoint("dropspot-endpoint"), champion, self.services.clock.now())

    def upload(self, body: bytes | None = None, key: str = KEY) -> list[str]:
        return self.pipeline.handle(self.pipeline.upload(body or picture(), key))

    def answer(self, name: str, rows: Any = ROWS, run: Any = RUN) -> dict[str, Any]:
        """Leave the model's answer in the bucket and return the notification of it."""
        key = f"{ANSWERS}{run.run_id}/{name}.out"
        self.store.put(key, json.dumps({"prediction": rows}).encode())
        return {
            "invocationStatus": "Completed",
            "requestParameters": {"inputLocation": self.asked.get(name, "")},
            "responseParameters": {"contentType": "application/json", "outputLocation": f"s3://the-bucket/{key}"},
            "inferenceId": name,
            "eventName": "InferenceResult",
        }

    def failure(self, name: str, reason: str) -> dict[str, Any]:
        return {"invocationStatus": "Failed", "failureReason": reason, "inferenceId": name}

    def collect(self, *messages: dict[str, Any], receives: int = 1) -> list[str]:
        """Let the function handle a batch of notifications; return those that it gave back."""
        self.reconcile()
        records = [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": json.dumps(message),
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
            for number, message in enumerate(messages)
        ]
        told = collect.Settings(
            "dropspot",
            "the-bucket",
            "dropspot-endpoint",
            image_queue_url=QUEUE,
            image_dead_letter_queue_url=DEAD_LETTER_QUEUE,
            inference_queue_url=ANSWER_QUEUE,
            inference_dead_letter_queue_url=f"{ANSWER_QUEUE}-dead",
            inference_receives=12,
            score_threshold="0.5",
        )
        services = replace(self.services, settings=told)
        answer = collect.handler({"Records": records}, FakeContext(), services)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def one(self) -> str:
        """Return the id of the only inference that was asked for."""
        [name] = self.asked
        return name


@pytest.fixture
def world() -> World:
    return World()


def test_an_answer_makes_the_same_document_as_an_endpoint_that_answers_at_once(world: World) -> None:
    assert world.upload() == []
    assert world.store.keys("detections/") == []
    assert world.collect(world.answer(world.one())) == []
    waited = world.pipeline.document()
    at_once = Pipeline()
    at_once.serve()
    at_once.handle(at_once.upload(picture()))
    expected = at_once.document()
    for document in (waited, expected):
        del document["image"]["version_id"]
    assert waited == expected
    assert [detail["key"] for detail in world.services.bus.of(IMAGE_DETECTED)] == [KEY]
    assert [key for key in world.store.keys(PREFIX) if not key.startswith(ANSWERS)] == []


def test_a_plain_picture_is_asked_about_in_its_own_place_and_any_other_as_it_was_prepared(world: World) -> None:
    world.upload(key=PLAIN)
    assert world.asked[world.one()] == f"s3://the-bucket/{PLAIN}"
    world.asked.clear()
    world.upload()  # a header can't carry its key
    name = world.one()
    assert world.asked[name] == f"s3://the-bucket/async/payloads/{name}"
    assert world.store.read(f"async/payloads/{name}").body == picture()
    world.asked.clear()
    world.upload(picture(kind="WEBP"), PLAIN)
    payload = world.store.read(world.asked[world.one()].removeprefix("s3://the-bucket/")).body
    assert payload.startswith(b"\xff\xd8\xff")


def test_what_is_no_picture_is_rejected_without_asking(world: World) -> None:
    world.upload(b"no picture")
    assert world.asked == {}
    assert world.pipeline.document()["rejection"]["code"] == "unsupported_format"


def test_an_image_is_asked_about_once_while_its_answer_is_awaited(world: World) -> None:
    event = world.pipeline.upload(picture())
    world.pipeline.handle(event)
    first = dict(world.asked)
    world.asked.clear()
    world.services.clock.advance(3600)
    world.pipeline.handle(event)
    assert world.asked == {}
    world.services.clock.advance(6 * 3600)
    world.pipeline.handle(event)
    assert world.asked == first
    world.asked.clear()
    world.pipeline.handle(json.loads(look_again(KEY, anew=True)))
    assert world.asked == first


def test_without_an_endpoint_the_image_waits_in_the_queue(world: World) -> None:
    world.services.inference.withdraw("dropspot-endpoint")
    assert world.upload() == ["message-0"]
    assert world.store.keys(PREFIX + "awaited/") == []


@pytest.mark.parametrize("change", ["upload", "deletion", "same bytes"])
def test_an_answer_about_an_earlier_image_is_left_aside(world: World, change: str) -> None:
    world.upload()
    name = world.one()
    if change == "deletion":
        world.store.delete(KEY)
        world.pipeline.handle(world.pipeline.deleted())
    else:
        world.store.put(KEY, picture(48, 24) if change == "upload" else picture())
    assert world.collect(world.answer(name)) == []
    assert world.store.keys("detections/") == []
    assert world.services.queues.sent[-1] == SentMessage(QUEUE, look_again(KEY), 0)
    assert [key for key in world.store.keys(PREFIX) if not key.startswith(ANSWERS)] == []


def test_answers_in_reverse_order_end_with_the_newest_image(world: World) -> None:
    world.upload()
    old = world.one()
    world.asked.clear()
    world.upload(picture(48, 24))
    world.collect(world.answer(world.one()))
    world.collect(world.answer(old))
    assert world.pipeline.document()["image"]["width"] == 48


def test_an_answer_of_the_model_before_is_asked_for_again(world: World) -> None:
    world.upload()
    world.serve(NEXT_RUN)
    assert world.collect(world.answer(world.one())) == []
    assert world.store.keys("detections/") == []
    world.asked.clear()
    [message] = world.services.queues.sent
    world.pipeline.handle(json.loads(message.body))
    assert world.collect(world.answer(world.one(), run=NEXT_RUN)) == []
    assert world.pipeline.document()["model"]["run_id"] == NEXT_RUN.run_id


def test_an_image_whose_answer_is_outdated_is_asked_about_before_the_answer_is_done_with(world: World) -> None:
    world.upload()
    first = world.one()
    world.serve(NEXT_RUN)
    world.asked.clear()
    queues = world.services.queues
    send = queues.send

    def looked_at_at_once(url: str, body: str, delay: int) -> None:
        send(url, body, delay)
        world.pipeline.handle(json.loads(body))

    queues.send = looked_at_at_once
    assert world.collect(world.answer(first)) == []
    assert world.collect(world.answer(world.one(), run=NEXT_RUN)) == []
    assert world.pipeline.document()["model"]["run_id"] == NEXT_RUN.run_id


@pytest.mark.parametrize(("status", "pending"), [("Updating", NEXT_RUN.endpoint_config), ("RollingBack", "")])
def test_an_answer_waits_without_end_while_another_model_is_put_into_service(
    world: World, status: str, pending: str
) -> None:
    world.upload()
    world.serve(status=status, pending=pending)
    message = world.answer(world.one())
    assert world.collect(message, receives=12) == []
    assert world.store.keys("detections/") == []
    assert world.services.queues.sent == [SentMessage(ANSWER_QUEUE, json.dumps(message), DEPLOYMENT_SECONDS)]


@pytest.mark.parametrize("comes", ["meanwhile", "after the rollback"])
def test_an_answer_that_a_model_may_have_given_which_was_taken_back_is_asked_for_again(
    world: World, comes: str
) -> None:
    world.upload()
    message = world.answer(world.one())
    world.serve(status="Updating", pending=NEXT_RUN.endpoint_config)
    world.collect(*[message] if comes == "meanwhile" else [])
    world.serve()
    world.services.queues.sent.clear()
    assert world.collect(message) == []
    assert world.store.keys("detections/") == []
    assert world.services.queues.sent == [SentMessage(QUEUE, look_again(KEY), 0)]
    world.pipeline.handle(json.loads(look_again(KEY)))
    assert world.collect(world.answer(world.one())) == []
    assert world.pipeline.document()["model"]["run_id"] == RUN.run_id


def test_an_answer_put_off_is_not_taken_for_that_of_the_question_asked_again(world: World) -> None:
    world.upload()
    message = world.answer(world.one()) | {"receivedTime": "2026-01-01T00:00:01.500Z"}
    world.serve(status="Updating", pending=NEXT_RUN.endpoint_config)
    world.collect(message)
    world.serve()
    world.pipeline.handle(json.loads(look_again(KEY, anew=True)))
    assert world.collect(message) == []
    assert world.store.keys("detections/") == []


@pytest.mark.parametrize("status", ["Creating", "Failed", "Deleting"])
def test_an_answer_of_an_endpoint_that_is_no_more_is_asked_for_again(world: World, status: str) -> None:
    world.upload()
    world.serve(status=status)
    assert world.collect(world.answer(world.one())) == []
    assert world.services.queues.sent == [SentMessage(QUEUE, look_again(KEY), 0)]


@pytest.mark.parametrize("status", ["Updating", "SystemUpdating"])
def test_an_answer_does_not_wait_while_instances_come_and_go(world: World, status: str) -> None:
    world.upload()
    world.serve(status=status)
    assert world.collect(world.answer(world.one())) == []
    assert world.pipeline.document()["status"] == "detected"


def test_what_failed_rests_longer_each_time_and_spoils_no_other_where_it_cannot_be_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload()
    assert world.collect({"no": "notification"}, receives=3) == ["message-0"]
    [rest] = world.services.queues.postponed
    assert (rest.queue_url, rest.seconds) == (ANSWER_QUEUE, 8)

    def postpone(*arguments: Any) -> None:
        raise RuntimeError("ServiceUnavailable")

    monkeypatch.setattr(world.services.queues, "postpone", postpone)
    assert world.collect({"no": "notification"}, world.answer(world.one())) == ["message-0"]


def test_an_image_that_the_model_refuses_is_rejected(world: World) -> None:
    world.upload()
    reason = "ClientError: Received client error (400) from model. See the SageMaker Endpoint logs"
    assert world.collect(world.failure(world.one(), reason)) == []
    refusal = {"code": "refused_by_model", "message": reason, "run_id": RUN.run_id}
    assert world.pipeline.document()["rejection"] == refusal
    assert len(world.services.bus.of(IMAGE_REJECTED)) == 1
    world.asked.clear()
    world.pipeline.handle(world.pipeline.created())
    assert world.asked == {}


def test_a_refusal_that_may_be_an_earlier_model_s_is_asked_for_again(world: World) -> None:
    world.upload()
    refusal = world.failure(world.one(), "ClientError: Received client error (400) from model.")
    world.serve(NEXT_RUN)
    assert world.collect(refusal) == []
    assert world.store.keys("detections/") == []
    world.pipeline.handle(json.loads(world.services.queues.sent[-1].body))
    assert world.collect(refusal) == []
    assert world.pipeline.document()["rejection"]["run_id"] == NEXT_RUN.run_id


def test_an_image_whose_inference_failed_some_times_is_set_aside_with_its_reason_and_asked_about_when_it_is_redriven(
    world: World,
) -> None:
    reason = "ClientError: Received server error (500) from model. See the SageMaker Endpoint logs"
    world.upload()
    name = world.one()
    for _ in range(MOST_FAILURES - 1):
        assert world.collect(world.failure(name, reason)) == []
        world.asked.clear()
        world.pipeline.handle(json.loads(world.services.queues.sent[-1].body))
        assert world.one() == name
    asked_again = len(world.services.queues.sent)
    assert world.collect(world.failure(name, reason)) == []
    assert len(world.services.queues.sent) == asked_again
    [aside] = world.services.queues.aside
    assert (aside.queue_url, aside.code) == (DEAD_LETTER_QUEUE, "TransientError")
    assert aside.message == f"look at {KEY}: inference failed {MOST_FAILURES} times: {reason}"
    assert world.store.keys(PREFIX) == []
    world.asked.clear()
    world.pipeline.handle(json.loads(aside.body))
    assert world.collect(world.failure(world.one(), reason)) == []  # it has all its attempts again
    assert len(world.services.queues.aside) == 1


@pytest.mark.parametrize("status", [408, 429])
def test_a_busy_container_refuses_nothing(world: World, status: int) -> None:
    world.upload()
    world.collect(world.failure(world.one(), f"ClientError: Received client error ({status}) from model."))
    assert world.store.keys("detections/") == []


def test_an_answer_that_comes_before_it_is_awaited_is_waited_for_and_a_second_one_forgotten(world: World) -> None:
    world.store.put(KEY, picture())
    message = world.answer("nobody")
    assert world.collect(message) == ["message-0"]
    assert world.collect(message, receives=4) == []


def test_an_event_that_the_bus_refuses_is_told_by_the_next_delivery(world: World) -> None:
    world.upload()
    message = world.answer(world.one())
    world.services.bus.refuses = lambda detail: True
    assert world.collect(message) == ["message-0"]
    world.services.bus.refuses = lambda detail: False
    assert world.collect(message, receives=2) == []
    assert len(world.services.bus.of(IMAGE_DETECTED)) == 1


@pytest.mark.parametrize("fault", ["put_all", "delete"])
def test_what_goes_wrong_after_one_document_spoils_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world.upload()
    message = world.answer(world.one())

    def fail(*arguments: Any) -> None:
        raise RuntimeError("AccessDenied")

    with monkeypatch.context() as patch:
        patch.setattr(world.services.bus if fault == "put_all" else world.store, fault, fail)
        unawaited = world.answer("nobody")
        assert world.collect(message, unawaited, receives=4) == ["message-0"]
    assert world.collect(message) == []
    assert len(world.services.bus.of(IMAGE_DETECTED)) >= 1


@pytest.mark.parametrize("rows", ["nonsense", [[9.0, 0.9, 0.0, 0.0, 1.0, 1.0]]])
def test_an_answer_that_makes_no_sense_is_no_fault_of_the_image(world: World, rows: Any) -> None:
    world.upload()
    assert world.collect(world.answer(world.one(), rows)) == ["message-0"]
    assert world.store.keys("detections/") == []


def test_an_answer_that_is_given_up_lies_in_its_dead_letter_queue_with_the_reason(world: World) -> None:
    world.upload()
    message = world.answer(world.one(), "nonsense")
    assert world.collect(message, receives=11) == ["message-0"]
    assert world.collect(message, receives=12) == []
    [aside] = world.services.queues.aside
    assert (aside.queue_url, json.loads(aside.body), aside.code) == (f"{ANSWER_QUEUE}-dead", message, "ValueError")


def test_one_bad_notification_spoils_no_other(world: World) -> None:
    world.upload()
    assert world.collect({"no": "notification"}, world.answer(world.one())) == ["message-0"]
    assert world.pipeline.document()["status"] == "detected"


MAKE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another bucket": lambda m: m["responseParameters"].update(outputLocation="s3://other/async/answers/r/x.out"),
    "another place": lambda m: m["responseParameters"].update(outputLocation="s3://the-bucket/runs/x.out"),
    "no place": lambda m: m.pop("responseParameters"),
    "no id": lambda m: m.pop("inferenceId"),
}


@pytest.mark.parametrize("fault", MAKE)
def test_a_notification_that_is_none_of_ours_is_refused(world: World, fault: str) -> None:
    message = world.answer("name")
    MAKE[fault](message)
    with pytest.raises(InvalidInputError):
        Answered.from_message(json.dumps(message), "the-bucket")


def test_each_version_of_an_image_is_an_inference_of_its_own() -> None:
    def name(**changes: Any) -> str:
        version = {"etag": "e", "version_id": "v", "content_type": "image/jpeg", "size": 1} | changes
        return inference_id(Picture(ImageRef("b", "images/a"), **version))

    assert name() == name()
    assert len({name(), name(version_id="w"), name(etag="f")}) == 3
    assert len(name()) <= 64


def test_the_champion_s_word_stays_where_an_older_answer_comes_late(world: World) -> None:
    world.upload()
    message = world.answer(world.one())
    world.collect(message)
    before = world.pipeline.document()
    world.store.put_json(endpoint.CHAMPION, {"run_id": RUN.run_id})
    world.collect(message, receives=4)
    assert world.pipeline.document() == before
