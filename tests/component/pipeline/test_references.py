"""Manifests that refer to pictures outside their data set's folder, from the upload to the training."""

import json
from typing import Any

import pytest
from handlers import captured_event
from road import Road, state

from dropspot.runs import Run
from dropspot.testing import MemoryStore

KEY = "datasets/reviewed/output.manifest"


@pytest.fixture
def extra(road: Road) -> MemoryStore:
    return road.store.create("extra")


def line(reference: str) -> bytes:
    """Return a line as Ground Truth writes it."""
    boxes = [{"class_id": 0, "left": 1, "top": 2, "width": 3, "height": 4}]
    labels = {"image_size": [{"width": 10, "height": 10, "depth": 3}], "annotations": boxes}
    metadata = {"class-map": {"0": "cat"}, "type": "groundtruth/object-detection", "human-annotated": "yes"}
    return json.dumps({"source-ref": reference, "labels": labels, "labels-metadata": metadata}).encode() + b"\n"


def uploaded(road: Road, *references: str) -> Run:
    """Upload a manifest of these references and return the run that it begins."""
    before = set(road.runs)
    road.store.put(KEY, b"".join(map(line, references)))
    road.settle(KEY)
    [run] = set(road.runs) - before
    return run


def listed(road: Road, run: Run) -> list[str]:
    return [entry["uri"] for entry in road.store.json(run.key("listing.json")) if "uri" in entry]


def retrain(road: Road, dataset: str = "reviewed", cause: str = "event-1") -> None:
    road.world.clock.advance(60)
    command = {"command": "start_retraining", "request": {"dataset": dataset}, "cause": cause, "requested_at": road.now}
    road.call("start_retraining", command)


def captured(key: str) -> dict[str, Any]:
    """Return the message that a captured event of the bucket makes, moved to this key."""
    event = captured_event("dataset_object_created")
    event["detail"]["object"]["key"] = key
    return {"messageId": "m-1", "body": json.dumps(event)}


def test_a_captured_event_of_a_manifest_makes_its_references_inputs_of_the_job(road: Road, extra: MemoryStore) -> None:
    extra.put("photos/été+1.jpg", b"a")
    road.store.put("images/served.jpg", b"b")
    road.store.put("datasets/reviewed/own.jpg", b"c")
    references = [
        "s3://bucket/datasets/reviewed/own.jpg",
        "s3://bucket/images/served.jpg",
        "s3://extra/photos/été+1.jpg",
        "s3://extra/photos/missing.jpg",
        "s3://forbidden/a.jpg",
    ]
    road.store.put(KEY, b"".join(map(line, references)))
    assert road.call("start_preprocessing", {"Records": [captured(KEY)]}) == {"batchItemFailures": []}
    [run] = road.runs
    assert listed(road, run) == ["s3://bucket/images/served.jpg", "s3://extra/photos/été+1.jpg"]
    assert road.store.keys(run.key("references")) == [
        run.key("references", "bucket.json"),
        run.key("references", "extra.json"),
    ]
    assert road.store.json(run.key("references", "extra.json")) == [{"prefix": "s3://extra/"}, "photos/été+1.jpg"]
    request = road.world.jobs.requests[run.processing_job]
    inputs = {i["S3Input"]["LocalPath"].removeprefix("/opt/ml/processing/input/") for i in request["ProcessingInputs"]}
    assert inputs == {"dataset", "plan", "references/bucket", "references/extra"}
    assert request["Environment"]["DROPSPOT_DATASET_URI"] == "s3://bucket/datasets/reviewed/"
    assert state(road, run) == "running"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("s3://forbidden/a.jpg", "the bucket forbidden, which the parameter ExtraDataBuckets doesn't name"),
        ("s3://extra/missing.jpg", "s3://extra/missing.jpg, which doesn't exist"),
        ("s3://bucket/runs/a.jpg", "for what the pipeline writes"),
    ],
)
def test_a_manifest_of_unreachable_pictures_fails_the_run_in_one_sentence(
    road: Road, extra: MemoryStore, reference: str, said: str
) -> None:
    run = uploaded(road, reference)
    failure = road.store.json(run.key("failure.json"))
    assert said in failure["message"]
    assert failure["remedy"] == "dropspot retrain reviewed"
    assert road.world.jobs.requests == {}
    [told] = road.world.bus.of("Run Failed")
    assert said in told["notice"]


def test_what_was_mended_begins_another_run(road: Road, extra: MemoryStore) -> None:
    refused = uploaded(road, "s3://extra/late.jpg")
    extra.put("late.jpg", b"a")
    road.world.clock.advance(60)
    mended = uploaded(road, "s3://extra/late.jpg")
    assert mended != refused
    assert state(road, mended) == "running"


def test_a_bucket_that_does_not_exist_fails_the_run_by_name(road: Road) -> None:
    run = uploaded(road, "s3://extra/a.jpg")
    assert "s3://extra: NoSuchBucket" in road.store.json(run.key("failure.json"))["message"]


def test_the_event_again_is_the_same_run_until_a_referenced_object_changes(road: Road, extra: MemoryStore) -> None:
    extra.put("a.jpg", b"one")
    first = uploaded(road, "s3://extra/a.jpg")
    road.settle(KEY)
    assert road.runs == [first]
    extra.put("a.jpg", b"two")
    road.settle(KEY)
    assert len(road.runs) == len(road.world.jobs.requests) == 2


def test_a_retraining_takes_the_referenced_objects_as_they_are_now(road: Road, extra: MemoryStore) -> None:
    extra.put("a.jpg", b"one")
    uploaded(road, "s3://extra/a.jpg", "s3://extra/b.jpg")
    extra.put("b.jpg", b"two")
    retrain(road)
    assert listed(road, road.runs[1]) == ["s3://extra/a.jpg", "s3://extra/b.jpg"]
    assert len(road.world.jobs.requests) == 2


def test_a_data_set_with_references_is_trained(road: Road, extra: MemoryStore) -> None:
    extra.put("a.jpg", b"one")
    run = uploaded(road, "s3://extra/a.jpg", "s3://extra/missing.jpg")
    road.prepare(run)
    road.command("start_training", run, "prep")
    assert run.training_job in road.world.jobs.requests
    assert not road.world.bus.of("Retraining Requested")


@pytest.mark.parametrize("change", [b"two", None])
def test_a_referenced_object_that_changes_meanwhile_supersedes_the_run_and_asks_for_the_next(
    road: Road, extra: MemoryStore, change: bytes | None
) -> None:
    extra.put("a.jpg", b"one")
    run = uploaded(road, "s3://extra/a.jpg")
    if change:
        extra.put("a.jpg", change)
    else:
        extra.delete("a.jpg")
    road.prepare(run)
    for _ in range(2):
        road.command("start_training", run, "prep")
    assert state(road, run) == "superseded"
    assert run.training_job not in road.world.jobs.requests
    assert road.world.bus.of("Retraining Requested") == [{"dataset": "reviewed"}]  # nothing else would begin the run
    retrain(road)
    assert state(road, road.runs[1]) == ("running" if change else "failed")


def test_a_manifest_that_changes_meanwhile_supersedes_the_run_and_leaves_the_next_to_its_own_event(
    road: Road, extra: MemoryStore
) -> None:
    for name in ("a.jpg", "b.jpg"):
        extra.put(name, b"one")
    run = uploaded(road, "s3://extra/a.jpg")
    road.store.put(KEY, line("s3://extra/b.jpg"))
    road.prepare(run)
    road.command("start_training", run, "prep")
    assert state(road, run) == "superseded"
    assert not road.world.bus.of("Retraining Requested")


def test_a_plan_for_another_layout_leaves_the_manifest_alone_to_the_end(road: Road) -> None:
    road.store.put("datasets/reviewed/training.json", b'{"layout": "voc"}')
    run = uploaded(road, "s3://forbidden/a.jpg")
    road.prepare(run)
    road.command("start_training", run, "prep")
    assert run.training_job in road.world.jobs.requests
