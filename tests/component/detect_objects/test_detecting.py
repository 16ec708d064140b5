import io
import json
from typing import Any

import pytest
from handlers import captured_event
from image_pipeline import KEY, NEXT_RUN, QUEUE, ROWS, RUN, Pipeline, picture
from PIL import Image

from detector.pictures import MAX_PIXELS
from dropspot import describing, endpoint, looking
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.image_events import ImageEvent
from dropspot.images import ImageRef
from dropspot.look_again import look_again
from dropspot.ports import Endpoint
from dropspot.runs import Run
from dropspot.settled import note


def test_an_uploaded_image_gets_a_document_of_what_the_model_saw(pipeline: Pipeline) -> None:
    body = picture()
    assert pipeline.handle(pipeline.upload(body)) == []
    document = pipeline.document()
    stored = pipeline.store.read(KEY)
    assert document["image"] == {
        "bucket": "the-bucket",
        "key": KEY,
        "etag": stored.etag,
        "version_id": stored.version_id,
        "sequencer": "617f08299329d189",
        "width": 64,
        "height": 32,
        "content_type": "image/jpeg",
        "bytes": len(body),
    }
    assert document["model"] == {
        "run_id": RUN.run_id,
        "endpoint_config": RUN.endpoint_config,
        "classes": ["cat", "dog"],
        "score_threshold": 0.5,
        "class_thresholds": None,
    }
    assert [(found["label"], found["score"]) for found in document["detections"]] == [("cat", 0.9), ("dog", 0.75)]
    assert document["detections"][0]["pixels"] == {"left": 0, "top": 16, "width": 32, "height": 16}
    assert pipeline.services.inference.images == [body]


@pytest.mark.parametrize("foreign", [b"not json", b"\xff", b"{}", b"[]", b'{"image": {}, "model": 3}'])
def test_what_lies_in_the_document_s_place_is_replaced(pipeline: Pipeline, foreign: bytes) -> None:
    pipeline.store.put(ImageRef.from_key("the-bucket", KEY).detections_key, foreign)
    assert pipeline.handle(pipeline.upload(picture())) == []
    assert pipeline.document()["status"] == "detected"


@pytest.mark.parametrize("rejection", ["x", [], {}, {"code": 3}, {"code": "x", "run_id": ["y"]}])
def test_a_rejection_that_is_none_of_ours_is_replaced(pipeline: Pipeline, rejection: Any) -> None:
    event = pipeline.upload(picture())
    pipeline.handle(event)
    changed = pipeline.document() | {"status": "rejected", "model": None, "detections": [], "rejection": rejection}
    pipeline.store.put_json(ImageRef.from_key("the-bucket", KEY).detections_key, changed)
    assert pipeline.handle(event) == []
    assert pipeline.document()["status"] == "detected"


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (5001, 10_000)])
def test_a_picture_that_the_detector_would_not_decode_is_not_sent(pipeline: Pipeline, width: int, height: int) -> None:
    assert pipeline.handle(pipeline.upload(picture(width, height))) == []
    assert pipeline.document()["rejection"]["code"] == "decompression_bomb"
    assert pipeline.services.inference.images == []


def test_the_function_and_the_detector_agree_on_the_largest_picture() -> None:
    assert looking.PIXEL_LIMIT == MAX_PIXELS


@pytest.mark.parametrize(
    "key",
    [
        "images/with space.jpg",
        "images/a+b.jpg",
        "images/100%.jpg",
        "images/%2B%20+.jpg",
        "images/été/猫.jpg",
        "images/e\u0301te\u0301.jpg",
        "images/cat",
        "images/x/../y//cat.jpg",
        'images/"quoted" & <tagged>.jpg',
    ],
)
def test_a_key_is_taken_as_it_stands(pipeline: Pipeline, key: str) -> None:
    assert pipeline.handle(pipeline.upload(picture(), key)) == []
    assert pipeline.document(key)["image"]["key"] == key
    assert f"detections/{key.removeprefix('images/')}.json" in pipeline.store.keys("detections/")


@pytest.mark.parametrize("key", ["images/", "images/a/", "images/.DS_Store", "images/._cat.jpg", "images/a/Thumbs.db"])
def test_what_is_no_image_gets_no_document(pipeline: Pipeline, key: str) -> None:
    assert pipeline.handle(pipeline.upload(b"", key)) == []
    assert pipeline.store.keys("detections/") == []


def test_a_key_too_long_for_a_document_is_acknowledged(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipeline.handle(pipeline.upload(picture(), "images/" + "x" * 1017)) == []
    assert pipeline.store.keys("detections/") == []
    assert "ImagesRefused" in capsys.readouterr().out


def test_the_same_event_twice_makes_one_document_and_one_call(pipeline: Pipeline) -> None:
    event = pipeline.upload(picture())
    pipeline.handle(event)
    first = pipeline.store.read("detections/a folder/cat+dog 100% été.jpg.json")
    pipeline.services.clock.advance(60)
    pipeline.handle(event)
    assert pipeline.store.read("detections/a folder/cat+dog 100% été.jpg.json") == first
    assert len(pipeline.services.inference.images) == 1


def test_an_answer_that_says_the_same_writes_no_new_version(pipeline: Pipeline) -> None:
    pipeline.store.delete("endpoint/champion.json")  # nobody knows yet who is in service: every event is answered
    event = pipeline.upload(picture())
    pipeline.handle(event)
    first = pipeline.store.read("detections/a folder/cat+dog 100% été.jpg.json")
    pipeline.services.clock.advance(60)
    pipeline.handle(event)
    assert len(pipeline.services.inference.images) == 2
    assert pipeline.store.read("detections/a folder/cat+dog 100% été.jpg.json") == first


@pytest.mark.parametrize(("anew", "calls"), [(False, 1), (True, 2)])
def test_a_request_to_look_again_pays_twice_only_where_it_says_so(pipeline: Pipeline, anew: bool, calls: int) -> None:
    pipeline.handle(pipeline.upload(picture()))
    document = pipeline.document()
    assert pipeline.handle(json.loads(look_again(KEY, anew=anew))) == []
    assert pipeline.document() == document
    assert len(pipeline.services.inference.images) == calls


def test_a_request_to_look_again_brings_a_missing_document_and_removes_an_orphan(pipeline: Pipeline) -> None:
    pipeline.store.put(KEY, picture())
    assert pipeline.handle(json.loads(look_again(KEY))) == []
    assert pipeline.document()["status"] == "detected"
    pipeline.store.delete(KEY)
    assert pipeline.handle(json.loads(look_again(KEY))) == []
    assert pipeline.store.keys("detections/") == []


def test_a_new_model_looks_again(pipeline: Pipeline) -> None:
    event = pipeline.upload(picture())
    pipeline.handle(event)
    pipeline.serve(NEXT_RUN, lambda image: [[0, 0.6, 0, 0, 1, 1]])
    pipeline.handle(event)
    assert pipeline.document()["model"]["run_id"] == NEXT_RUN.run_id
    assert len(pipeline.document()["detections"]) == 1


def test_the_document_names_the_model_that_answered_not_the_one_on_record(pipeline: Pipeline) -> None:
    pipeline.serve(NEXT_RUN)
    pipeline.store.put_json("endpoint/champion.json", {"run_id": RUN.run_id})
    pipeline.handle(pipeline.upload(picture()))
    assert pipeline.document()["model"]["run_id"] == NEXT_RUN.run_id


def test_the_same_bytes_uploaded_again_are_named_by_their_new_version(pipeline: Pipeline) -> None:
    pipeline.handle(pipeline.upload(picture()))
    first = pipeline.document()["image"]["version_id"]
    pipeline.handle(pipeline.upload(picture()))
    assert pipeline.document()["image"]["version_id"] == pipeline.store.read(KEY).version_id != first


def test_a_deleted_image_s_document_goes(pipeline: Pipeline) -> None:
    pipeline.handle(pipeline.upload(picture()))
    pipeline.store.delete(KEY)
    assert pipeline.handle(pipeline.deleted()) == []
    assert pipeline.store.keys("detections/") == []
    assert pipeline.handle(pipeline.deleted()) == []


def test_the_expiry_of_an_old_version_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.handle(pipeline.upload(picture()))
    first = pipeline.store.read("detections/a folder/cat+dog 100% été.jpg.json")
    assert pipeline.handle(pipeline.deleted()) == []
    assert pipeline.store.read("detections/a folder/cat+dog 100% été.jpg.json") == first
    assert len(pipeline.services.inference.images) == 1


def test_events_out_of_order_end_with_the_newest_image(pipeline: Pipeline) -> None:
    older = pipeline.upload(picture(64, 32))
    newer = pipeline.upload(picture(16, 8))
    pipeline.handle(newer)
    pipeline.handle(older)
    assert pipeline.document()["image"]["width"] == 16
    assert pipeline.document()["image"]["etag"] == newer["detail"]["object"]["etag"]


def test_an_older_event_of_the_same_bytes_is_not_paid_for_again(pipeline: Pipeline) -> None:
    older, newer = pipeline.upload(picture()), pipeline.upload(picture())
    pipeline.handle(newer)
    pipeline.handle(older)
    assert len(pipeline.services.inference.images) == 1
    assert pipeline.document()["image"]["version_id"] == newer["detail"]["object"]["version-id"]


def test_what_the_present_model_refused_is_asked_about_again_only_by_another_model_or_on_request(
    pipeline: Pipeline,
) -> None:
    asked = list[bytes]()

    def predict(image: bytes) -> Any:
        asked.append(image)
        raise InvalidInputError("invoke dropspot-endpoint: the model's container answered 400: no")

    pipeline.serve(RUN, predict)
    event = pipeline.upload(picture())
    pipeline.handle(event)
    assert pipeline.document()["rejection"]["run_id"] == RUN.run_id
    pipeline.handle(event)
    assert len(asked) == 1
    pipeline.handle(json.loads(look_again(KEY, anew=True)))
    assert len(asked) == 2
    pipeline.serve(NEXT_RUN)
    pipeline.handle(event)
    assert pipeline.document()["status"] == "detected"


@pytest.mark.parametrize("desired", [RUN, NEXT_RUN])  # the former where a rollback calls the deployment off
def test_a_refusal_is_nobody_s_until_a_deployment_has_ended_and_the_champion_s_again_when_it_has(
    pipeline: Pipeline, desired: Run
) -> None:
    def predict(image: bytes) -> Any:
        raise InvalidInputError("invoke dropspot-endpoint: the model's container answered 400: no")

    pipeline.store.put_json(endpoint.DESIRED, {"run_id": desired.run_id, "requested_at": "2026-01-01T00:00:00Z"})
    now = pipeline.services.clock.now()
    changing = Endpoint("Updating", RUN.endpoint_config, now, pending=NEXT_RUN.endpoint_config)
    note(pipeline.store, changing, RUN, now)
    pipeline.services.inference.serve("dropspot-endpoint", RUN.run_id, predict)
    event = pipeline.upload(picture())
    pipeline.handle(event)
    assert "run_id" not in pipeline.document()["rejection"]
    pipeline.serve(RUN, predict)
    for _ in range(2):
        pipeline.handle(event)
    assert pipeline.document()["rejection"]["run_id"] == RUN.run_id
    assert len(pipeline.services.inference.images) == 2


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "JPEG"])
def test_a_broken_picture_s_document_says_what_it_was_to_be(pipeline: Pipeline, kind: str) -> None:
    for rest in (20, -30):
        pipeline.store.put(KEY, picture(kind=kind)[:rest], "binary/octet-stream")
        pipeline.handle(pipeline.created())
        document = pipeline.document()
        assert document["rejection"]["code"] == "corrupt_image"
        assert document["image"]["content_type"] == f"image/{kind.lower()}"


def test_a_heic_picture_s_document_says_what_it_is(pipeline: Pipeline) -> None:
    pipeline.store.put(KEY, b"\0\0\0\x18ftypheic" + bytes(20), "binary/octet-stream")
    pipeline.handle(pipeline.created())
    document = pipeline.document()
    assert document["rejection"]["message"].startswith("HEIC pictures are not read")
    assert document["image"]["content_type"] == "image/heic"


def test_an_event_of_another_version_lends_no_sequencer(pipeline: Pipeline) -> None:
    older = pipeline.upload(picture(64, 32))
    pipeline.upload(picture(16, 8))
    pipeline.handle(older)
    assert pipeline.document()["image"]["sequencer"] is None


def test_only_the_failed_record_is_retried(pipeline: Pipeline) -> None:
    def predict(image: bytes) -> Any:
        if image == picture(colour="blue"):
            raise TransientError("invoke dropspot-endpoint: the model's container answered 500")
        return ROWS

    pipeline.serve(RUN, predict)
    bodies = {"images/1.jpg": picture(), "images/2.jpg": picture(colour="blue"), "images/3.jpg": picture(8, 8)}
    events = [pipeline.upload(body, key) for key, body in bodies.items()]
    assert pipeline.handle(*events) == ["message-1"]
    assert pipeline.store.keys("detections/") == ["detections/1.jpg.json", "detections/3.jpg.json"]


def test_a_batch_that_fails_as_a_whole_is_given_back_as_a_whole(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [pipeline.upload(picture(), f"images/{name}.jpg") for name in "ab"]
    pipeline.services.inference.withdraw("dropspot-endpoint")
    assert pipeline.handle(*events) == ["message-0", "message-1"]
    assert "ImagesFailed" in capsys.readouterr().out


def test_without_an_endpoint_the_message_is_given_back_for_later(pipeline: Pipeline) -> None:
    event = pipeline.upload(picture())
    pipeline.services.inference.withdraw("dropspot-endpoint")
    assert pipeline.handle(event) == ["message-0"]
    (postponed,) = pipeline.services.queues.postponed
    assert (postponed.queue_url, postponed.receipt_handle) == (QUEUE, "receipt-0")
    assert 15 <= postponed.seconds <= 30
    assert pipeline.store.keys("detections/") == []
    pipeline.serve()
    assert pipeline.handle(event) == []
    assert pipeline.document()["status"] == "detected"


@pytest.mark.parametrize("rows", [[[7.0, 0.9, 0, 0, 1, 1]], [[0.0, 0.9]], [["cat", 0.9, 0, 0, 1, 1]]])
def test_an_answer_that_makes_no_sense_is_no_fault_of_the_image(pipeline: Pipeline, rows: Any) -> None:
    pipeline.serve(RUN, lambda image: rows)
    assert pipeline.handle(pipeline.upload(picture())) == ["message-0"]
    assert pipeline.store.keys("detections/") == []


def test_an_endpoint_that_is_not_ours_is_no_fault_of_the_image(pipeline: Pipeline) -> None:
    pipeline.services.inference.serve("dropspot-endpoint", "AllTraffic", lambda image: ROWS)
    assert pipeline.handle(pipeline.upload(picture())) == ["message-0"]
    assert pipeline.store.keys("detections/") == []


def test_an_image_that_the_model_refuses_is_rejected(pipeline: Pipeline) -> None:
    def predict(image: bytes) -> Any:
        raise InvalidInputError("invoke dropspot-endpoint: the model's container answered 400: no picture")

    pipeline.serve(RUN, predict)
    assert pipeline.handle(pipeline.upload(picture())) == []
    document = pipeline.document()
    assert (document["status"], document["rejection"]["code"]) == ("rejected", "refused_by_model")
    assert document["image"]["width"] == 64


def test_a_rejection_gives_way_to_a_detection(pipeline: Pipeline) -> None:
    pipeline.handle(pipeline.upload(b"no picture"))
    assert pipeline.document()["rejection"]["code"] == "unsupported_format"
    pipeline.handle(pipeline.upload(picture()))
    assert pipeline.document()["status"] == "detected"


def test_an_empty_object_is_rejected(pipeline: Pipeline) -> None:
    assert pipeline.handle(pipeline.upload(b"")) == []
    assert pipeline.document()["rejection"]["code"] == "empty_object"
    assert pipeline.services.inference.images == []


def test_a_huge_object_is_rejected_unread(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "OBJECT_LIMIT", 100)
    monkeypatch.setattr(describing, "OBJECT_LIMIT", 100)
    reading, bodies = pipeline.store.read, list[bytes]()

    def read(key: str, *, limit: int | None = None) -> Any:
        stored = reading(key, limit=limit)
        if key == KEY:
            bodies.append(stored.body)
        return stored

    monkeypatch.setattr(pipeline.store, "read", read)
    assert pipeline.handle(pipeline.upload(bytes(101))) == []
    bodies.clear()
    assert pipeline.handle(pipeline.deleted()) == []  # an event that doesn't state the newest object's size
    assert set(bodies) == {b""}
    monkeypatch.undo()
    document = pipeline.document()
    assert document["rejection"]["code"] == "too_large"
    assert document["image"]["bytes"] == 101
    assert document["image"]["version_id"] == pipeline.store.read(KEY).version_id


def test_a_picture_turned_by_its_camera_is_seen_upright(pipeline: Pipeline) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pipeline.handle(pipeline.upload(picture(64, 32, exif=exif)))
    (sent,) = pipeline.services.inference.images
    assert Image.open(io.BytesIO(sent)).size == (32, 64)
    assert (pipeline.document()["image"]["width"], pipeline.document()["image"]["height"]) == (32, 64)


def test_a_picture_above_the_payload_limit_is_shrunk_and_its_boxes_are_the_original_s(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "PAYLOAD_LIMIT", 20_000)
    monkeypatch.setattr("dropspot.sniff.PAYLOAD_LIMIT", 20_000)
    buffer = io.BytesIO()
    Image.effect_noise((400, 200), 100).convert("RGB").save(buffer, "PNG")
    assert pipeline.handle(pipeline.upload(buffer.getvalue())) == []
    (sent,) = pipeline.services.inference.images
    assert len(sent) <= 20_000
    document = pipeline.document()
    assert (document["image"]["width"], document["image"]["height"]) == (400, 200)
    assert document["image"]["content_type"] == "image/png"
    assert document["detections"][0]["pixels"] == {"left": 0, "top": 100, "width": 200, "height": 100}


def test_a_run_without_class_names_is_no_fault_of_the_image(pipeline: Pipeline) -> None:
    pipeline.services.inference.serve("dropspot-endpoint", "pets-aaaaaaaaaa", lambda image: ROWS)
    assert pipeline.handle(pipeline.upload(picture())) == ["message-0"]
    with pytest.raises(NotFoundError):
        pipeline.document()


def test_an_object_event_is_read_as_s3_sent_it() -> None:
    created = ImageEvent.from_message(json.dumps(captured_event("image_object_created")))
    assert created.key == "images/a folder/cat+dog 100% été.jpg"
    assert (created.is_creation, created.sequencer) == (True, "617f08299329d189")
    assert created.is_of("b1946ac92492d2347c6235b4d2611184", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e")
    assert not created.is_of("b1946ac92492d2347c6235b4d2611184", "another version")
    deleted = ImageEvent.from_message(json.dumps(captured_event("image_object_deleted")))
    assert not deleted.is_creation
