"""A backfill from its request to its end."""

import json
from dataclasses import replace
from typing import Any

import pytest
from backfill_world import NEXT_RUN, QUEUE, ROWS, RUN, World, picture
from handlers import FakeContext, load_logic

from dropspot.backfills import BACKFILL_DUE, BACKFILL_ENDED, BACKFILL_FAILED, LOOK, SNIFF
from dropspot.errors import InvalidInputError
from dropspot.images import ImageRef
from dropspot.look_again import look_again
from dropspot.ports import JobKind, Request
from dropspot.testing import MemoryJobs, SentMessage

ODD = ["images/a b.jpg", "images/a+b.jpg", "images/crème brûlée/été.jpg", "images/100%.jpg", 'images/quo"te\\.jpg']


def test_fitting_pictures_get_their_documents_and_all_others_go_to_the_image_queue(world: World) -> None:
    for key in ODD:
        world.store.put(key, picture())
    others = {
        "images/line\nbreak.jpg": picture(),
        "images/a//b.jpg": picture(),
        "images/turned.png": picture(kind="WEBP"),
        "images/empty.jpg": b"",
        "images/none.jpg": b"no picture",
    }
    for key, body in others.items():
        world.store.put(key, body)
    world.store.put("images/.DS_Store", b"litter")
    world.store.put("images/folder/", b"")
    backfill = world.request()
    world.finish(backfill.part(0))
    assert sorted(world.queued()) == sorted(others)
    for key in ODD:
        stored, document = world.store.read(key), world.document(key)
        assert document["image"] == {
            "bucket": "bucket", "key": key, "etag": stored.etag, "version_id": stored.version_id, "sequencer": None,
            "width": 64, "height": 32, "content_type": "image/jpeg", "bytes": len(stored.body),
        }  # fmt: skip
        assert document["model"]["run_id"] == RUN.run_id
        assert [found["label"] for found in document["detections"]] == ["dog"]
    published = world.store.json(backfill.part(0).key("published.json"))
    assert (published["documents"], published["handed_over"]) == ({"written": len(ODD)}, len(others))
    assert len(world.world.bus.of(BACKFILL_ENDED)) == 1
    assert world.store.keys("open-backfills/") == []


def test_a_second_delivery_of_the_request_changes_nothing(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    backfill = world.request()
    jobs = dict(world.world.jobs.requests)
    assert world.request() == backfill
    assert world.world.jobs.requests == jobs
    world.finish(backfill.part(0))
    before = world.document("images/a.jpg")
    world.request()
    assert world.world.jobs.requests.keys() - jobs.keys() == {backfill.part(0).job(s) for s in ("look", "harvest")}
    assert world.document("images/a.jpg") == before


def test_only_images_without_a_newer_document_are_looked_at(world: World) -> None:
    for name in ("described", "replaced", "missing"):
        world.store.put(f"images/{name}.jpg", picture())
    for name in ("described", "replaced"):
        world.store.put(f"detections/{name}.jpg.json", b"{}")
    world.world.clock.advance(10)
    world.store.put("images/replaced.jpg", picture(colour="blue"))
    backfill = world.request()
    assert listed(world, backfill.part(0)) == ["images/missing.jpg", "images/replaced.jpg"]


def test_older_takes_documents_from_before_the_present_model_too(world: World) -> None:
    for name in ("older", "newer"):
        world.store.put(f"images/{name}.jpg", picture())
    world.store.put("detections/older.jpg.json", b"{}")
    world.world.clock.advance(60)
    world.serve(NEXT_RUN)
    world.world.clock.advance(16 * 60)
    world.store.put("detections/newer.jpg.json", b"{}")
    world.world.clock.advance(60)
    backfill = world.request(older=True)
    assert listed(world, backfill.part(0)) == ["images/older.jpg"]


def test_redetect_takes_every_document_and_the_others_are_told_to_be_looked_at_anew(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    world.store.put("images/b.jpg", b"no picture")
    world.finish(world.request().part(0))
    world.world.clock.advance(60)
    world.world.queues.sent.clear()
    world.predict = lambda key, image: [[0.0, 0.9, 0.0, 0.0, 1.0, 1.0]]
    backfill = world.request(redetect=True, cause="event-2")
    world.finish(backfill.part(0))
    assert world.document("images/a.jpg")["detections"][0]["label"] == "cat"
    assert world.world.queues.sent == [SentMessage(QUEUE, look_again("images/b.jpg", anew=True), 0)]


def test_a_redetection_that_broke_off_goes_on_by_its_moment(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    world.store.put("images/b.jpg", picture())
    world.store.put("detections/b.jpg.json", b"{}")
    world.world.clock.advance(60)
    moment = world.now
    world.world.clock.advance(60)
    world.store.put("detections/a.jpg.json", b"{}")
    backfill = world.request(redetect=moment)
    assert listed(world, backfill.part(0)) == ["images/b.jpg"]


def test_a_prefix_with_nothing_to_look_at_ends_at_once(world: World) -> None:
    backfill = world.request("holiday/")
    assert world.world.jobs.requests == {}
    assert world.store.head(backfill.key("ended.json"))
    assert len(world.world.bus.of(BACKFILL_ENDED)) == 1


@pytest.mark.parametrize("prefix", ["holiday", "images/holiday", "/holiday"])
def test_a_prefix_is_taken_with_and_without_the_folder_of_images(world: World, prefix: str) -> None:
    for key in ("images/holiday/a.jpg", "images/holidays.jpg", "images/other.jpg"):
        world.store.put(key, picture())
    assert listed(world, world.request(prefix).part(0)) == ["images/holiday/a.jpg", "images/holidays.jpg"]


def test_a_picture_that_the_model_refuses_fails_its_transform_and_no_other_picture(world: World) -> None:
    for name in "abc":
        world.store.put(f"images/{name}.jpg", picture())
    world.predict = lambda key, image: None if key == "images/b.jpg" else ROWS
    backfill = world.request()
    world.finish(backfill.part(0))
    assert world.queued() == ["images/b.jpg"]
    assert world.store.json(backfill.part(0).key("published.json"))["handed_over"] == 1
    assert world.store.keys("detections/") == ["detections/a.jpg.json", "detections/c.jpg.json"]
    assert len(world.world.bus.of(BACKFILL_ENDED)) == 1


@pytest.mark.parametrize("answer", [[[7.0, 0.9, 0.0, 0.0, 1.0, 1.0]], [[0.0]], "nonsense"])
def test_an_answer_that_makes_no_sense_leaves_its_picture_to_the_queue(world: World, answer: Any) -> None:
    for name in "ab":
        world.store.put(f"images/{name}.jpg", picture())
    world.predict = lambda key, image: answer if key == "images/b.jpg" else ROWS
    world.finish(world.request().part(0))
    assert world.queued() == ["images/b.jpg"]
    assert world.store.keys("detections/") == ["detections/a.jpg.json"]


def test_a_transform_that_left_nothing_leaves_a_few_pictures_to_the_queue(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    world.predict = lambda key, image: None
    backfill = world.request()
    world.finish(backfill.part(0))
    assert world.queued() == ["images/a.jpg"]
    assert world.store.json(backfill.part(0).key("published.json"))["handed_over"] == 1
    assert world.store.head(backfill.key("ended.json"))


def test_a_transform_that_left_nothing_of_many_pictures_fails_the_backfill_with_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_logic("advance_backfill", "advancing"), "FEW", 1)
    for name in "ab":
        world.store.put(f"images/{name}.jpg", picture())
    world.predict = lambda key, image: None
    backfill = world.request()
    world.finish(backfill.part(0))
    assert world.queued() == []
    [failed] = world.world.bus.of(BACKFILL_FAILED)
    assert "ClientError: See job logs" in failed["notice"]
    assert world.store.json(backfill.key("failure.json"))["message"].endswith("ClientError: See job logs")
    assert world.store.keys("open-backfills/") == []
    world.advance(backfill)
    assert len(world.world.bus.of(BACKFILL_FAILED)) == 1


def test_a_part_whose_images_could_not_be_fetched_is_listed_anew_once(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    world.store.put("images/b.jpg", picture())
    backfill = world.request()
    world.store.delete("images/b.jpg")
    world.world.jobs.end(JobKind.PROCESSING, backfill.part(0).job(SNIFF), "Failed", reason="NoSuchKey")
    world.advance(backfill)
    assert listed(world, backfill.part(1)) == ["images/a.jpg"]
    world.world.jobs.end(JobKind.PROCESSING, backfill.part(1).job(SNIFF), "Failed", reason="NoSuchKey again")
    world.advance(backfill)
    assert world.store.json(backfill.key("failure.json"))["message"] == "NoSuchKey again"


class FullAccount(MemoryJobs):
    """A SageMaker that has no instance left for anybody."""

    def start(self, kind: JobKind, request: Request) -> bool:
        raise InvalidInputError("SageMaker refused it: the account-level service limit is 0 instances")


def test_a_job_that_sagemaker_refuses_fails_the_backfill(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    world.world = replace(world.world, jobs=FullAccount())
    backfill = world.request()
    assert "service limit" in world.store.json(backfill.key("failure.json"))["message"]
    assert "service limit" in world.world.bus.of(BACKFILL_FAILED)[0]["notice"]


def test_a_lost_event_is_made_up_for_by_the_loop_over_open_backfills(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    backfill = world.request()
    due = len(world.world.bus.of(BACKFILL_DUE))
    world.store.put("open-backfills/foreign object", b"")
    world.call("resume_runs", {"command": "resume_runs", "cause": "event-3"})
    assert world.world.bus.of(BACKFILL_DUE)[due:] == [{"job": backfill.name}]


def test_an_advance_while_a_job_is_at_work_does_nothing(world: World) -> None:
    world.store.put("images/a.jpg", picture())
    backfill = world.request()
    keys = world.store.keys()
    world.advance(backfill)
    assert world.store.keys() == keys


def test_parts_follow_each_other_to_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_logic("advance_backfill", "listing"), "MOST_IMAGES", 2)
    for name in "abcde":
        world.store.put(f"images/{name}.jpg", picture())
    backfill = world.request(instances=3)
    for number in range(3):
        world.finish(backfill.part(number))
    assert len(world.store.keys("detections/")) == 5
    assert world.world.jobs.requests[backfill.part(0).job(LOOK)]["TransformResources"]["InstanceCount"] == 3
    assert [len(listed(world, backfill.part(number))) for number in range(3)] == [2, 2, 1]
    assert world.store.head(backfill.key("ended.json"))


def test_time_that_runs_out_is_followed_by_another_call(world: World) -> None:
    class Late(FakeContext):
        def get_remaining_time_in_millis(self) -> int:
            return 1

    world.store.put("images/a.jpg", picture())
    backfill = world.request()
    world.sniff(backfill.part(0))
    due = len(world.world.bus.of(BACKFILL_DUE))
    world.advance(backfill, Late())
    assert world.world.bus.of(BACKFILL_DUE)[due:] == [{"job": backfill.name}]
    world.look(backfill.part(0))
    world.advance(backfill)
    world.harvest(backfill.part(0))
    world.advance(backfill, Late())
    assert world.store.keys("detections/") == []
    world.advance(backfill)
    assert world.store.keys("detections/") == ["detections/a.jpg.json"]


@pytest.mark.parametrize(
    "request_",
    [
        "images/",
        None,
        {"prefix": 3},
        {"prefix": "x" * 2000},
        {"instances": 0},
        {"instances": True},
        {"instances": 100},
        {"older": "yes"},
        {"redetect": "yesterday"},
        {"redetect": "2026-01-01T00:00:00"},
        {"everything": True},
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_name(world: World, request_: Any) -> None:
    event = {"command": "start_backfill", "request": request_, "cause": "event-1", "time": world.now}
    world.call("start_backfill", event)
    [failed] = world.world.bus.of(BACKFILL_FAILED)
    assert failed["cause"] == "event-1"
    assert failed["notice"].startswith("No backfill was started: backfill: ")
    assert world.store.keys("backfills/") == []


def test_before_the_first_model_a_backfill_is_refused(world: World) -> None:
    world.store.delete("endpoint/champion.json")
    event = {"command": "start_backfill", "request": {}, "cause": "event-1", "time": world.now}
    world.call("start_backfill", event)
    assert "no model is in service yet" in world.world.bus.of(BACKFILL_FAILED)[0]["message"]


def test_names_fit_sagemaker_and_tell_their_backfill(world: World) -> None:
    from dropspot.backfills import Backfill

    backfill = Backfill.of("a" * 16, "bucket", "images/Ferien in Südtirol 2024/", "event-1")
    longest = backfill.part(99_999).job("harvest")
    assert len(longest) <= 63
    assert Backfill.from_name("a" * 16, longest) == backfill
    assert Backfill.from_name("a" * 16, backfill.name) == backfill


def listed(world: World, part: Any) -> list[str]:
    lines = world.store.read(part.key("listing.jsonl")).body.splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    assert world.store.json(part.key("manifest.json"))[1:] == keys
    assert all(ImageRef.from_key("bucket", key) for key in keys)
    return keys
