"""From a data set to the model in service, once, however often the events come."""

import pytest
from road import Road, begun, state


def test_a_data_set_becomes_the_model_in_service(road: Road) -> None:
    run = begun(road)
    road.deploy(run)
    assert state(road, run) == "deployed"
    assert road.store.json("endpoint/champion.json")["run_id"] == run.run_id
    assert road.store.json("endpoint/champion.json")["classes"] == ["cat"]
    assert road.store.json(run.key("evaluation", "evaluation.json"))["map50"] == 1.0
    assert list(road.world.jobs.requests) == [run.processing_job, run.training_job, run.transform_job]
    assert road.world.intake.is_open("mapping")
    [deployed] = road.world.bus.of("Model Deployed")
    assert deployed["run_id"] == run.run_id


def test_every_event_twice_is_each_job_once(road: Road) -> None:
    run = begun(road)
    road.settle()
    road.prepare(run)
    for function, step in (("start_training", "prep"),) * 2:
        road.command(function, run, step)
    road.train(run)
    for function, step in (("start_evaluation", "train"), ("start_training", "prep")) * 2:
        road.command(function, run, step)
    road.evaluate(run)
    for function, step in (("deploy_model", "eval"), ("start_evaluation", "train")) * 2:
        road.command(function, run, step)
        road.reconcile()
    assert len(road.world.jobs.requests) == 3
    assert road.runs == [run]
    assert not road.world.bus.of("Run Failed")


def test_a_growing_upload_starts_nothing(road: Road) -> None:
    earlier = road.world.clock.now()
    road.upload()
    road.world.clock.advance(30)
    road.upload("pets", **{"annotations.tar.gz": b"later"})
    road.settle(when=earlier)
    assert road.runs == []
    road.settle("datasets/pets/annotations.tar.gz")
    assert len(road.runs) == 1


def test_an_open_multipart_upload_rearms_one_message(road: Road) -> None:
    road.upload()
    road.store.open_uploads.add("datasets/pets/more.tar.gz")
    records = [road.message("datasets/pets/images.tar.gz", message_id=f"m-{n}") for n in range(3)]
    road.call("start_preprocessing", {"Records": records})
    [sent] = road.world.queues.sent
    assert (sent.queue_url, sent.delay_seconds, sent.body) == ("https://sqs/datasets", 60, records[0]["body"])
    assert road.runs == []


@pytest.mark.parametrize("files", [{"training.json": b"{}"}, {"": b""}])
def test_a_data_set_without_data_starts_nothing(road: Road, files: dict[str, bytes]) -> None:
    road.upload(**files)
    road.settle()
    assert road.runs == []


def test_equal_content_uploaded_again_starts_nothing(road: Road) -> None:
    begun(road)
    road.world.clock.advance(3600)
    road.upload()
    road.settle()
    assert len(road.world.jobs.requests) == 1


def test_a_deletion_is_a_change(road: Road) -> None:
    road.upload(**{"a.zip": b"a", "b.zip": b"b"})
    road.settle()
    road.store.delete("datasets/pets/b.zip")
    road.world.clock.advance(100)
    road.settle("datasets/pets/b.zip")
    assert len(road.runs) == 2


def test_data_that_changed_while_it_was_prepared_supersedes_the_run(road: Road) -> None:
    run = begun(road)
    road.upload("pets", **{"more.tar.gz": b"new"})
    road.prepare(run)
    road.command("start_training", run, "prep")
    assert state(road, run) == "superseded"
    assert run.training_job not in road.world.jobs.requests


def test_what_the_data_decides_is_sent_to_training(road: Road) -> None:
    road.upload(
        **{"images.tar.gz": b"a", "training.json": b'{"hyperparameters": {"base_network": "tiny", "epochs": 2}}'}
    )
    road.settle()
    [run] = road.runs
    road.prepare(run, samples=9)
    road.command("start_training", run, "prep")
    sent = road.world.jobs.requests[run.training_job]["HyperParameters"]
    assert sent.items() >= {
        "num_classes": "1", "num_training_samples": "9", "label_width": "17", "base_network": "tiny", "epochs": "2",
        "mini_batch_size": "9",
    }.items()  # fmt: skip


def test_a_model_below_the_gate_leaves_the_endpoint_alone(road: Road) -> None:
    champion = begun(road)
    road.deploy(champion)
    road.world.clock.advance(100)
    road.upload("pets", **{"more.tar.gz": b"new"})
    road.settle("datasets/pets/more.tar.gz")
    candidate = road.runs[1]
    road.judge(candidate, good=False)
    road.reconcile()
    verdict = road.store.json(candidate.key("verdict.json"))
    assert (verdict["status"], verdict["map50"]) == ("refused", 0.0)
    assert road.store.json("endpoint/desired.json")["run_id"] == champion.run_id
    assert len(road.world.bus.of("Model Refused")) == 1


def test_a_second_data_set_is_judged_and_not_served(road: Road) -> None:
    first = begun(road, "pets")
    road.deploy(first)
    second = begun(road, "blood")
    road.judge(second)
    road.reconcile()
    assert road.store.json(second.key("verdict.json"))["status"] == "not_served"
    assert road.world.hosting.endpoints["dropspot-endpoint"].config == first.endpoint_config


def test_a_named_data_set_is_served_whoever_is_first() -> None:
    road = Road(served_dataset="blood")
    first = begun(road, "pets")
    road.judge(first)
    assert road.store.json(first.key("verdict.json"))["status"] == "not_served"
    second = begun(road, "blood")
    road.deploy(second)
    assert road.store.json("endpoint/champion.json")["dataset"] == "blood"


def test_a_run_that_began_earlier_does_not_replace_a_later_one(road: Road) -> None:
    slow = begun(road)
    road.world.clock.advance(100)
    road.upload("pets", **{"images.tar.gz": b"newer"})
    road.settle()
    fast = road.runs[1]
    road.prepare(slow)
    road.store.put("datasets/pets/images.tar.gz", b"archive")  # slow's own content, so that it isn't superseded
    road.command("start_training", slow, "prep")
    road.store.put("datasets/pets/images.tar.gz", b"newer")
    road.judge(fast)
    road.train(slow)
    road.command("start_evaluation", slow, "train")
    road.evaluate(slow)
    road.command("deploy_model", slow, "eval")
    assert road.store.json("endpoint/desired.json")["run_id"] == fast.run_id
    assert "began later" in road.store.json(slow.key("verdict.json"))["rule"]


def test_a_retraining_replaces_the_model_and_removes_the_oldest_config(road: Road) -> None:
    first = begun(road)
    road.deploy(first)
    for number in range(2):
        road.world.clock.advance(100)
        road.retrain(f"event-{number}")
        road.deploy(road.runs[-1])
    assert len(road.runs) == 3
    assert road.store.json("endpoint/champion.json")["run_id"] == road.runs[-1].run_id
    # keep_configs is 1: the champion's config, and one to go back to.
    assert list(road.world.hosting.configs) == [run.endpoint_config for run in road.runs[1:]]
    assert first.model not in road.world.hosting.models


def test_a_retraining_event_delivered_twice_is_one_attempt(road: Road) -> None:
    begun(road)
    for _ in range(2):
        road.retrain("event-7", {"dataset": "pets"})
    assert len(road.runs) == 2


def test_the_late_echo_of_a_preparation_supersedes_no_run_that_went_on(road: Road) -> None:
    run = begun(road)
    road.deploy(run)
    road.world.clock.advance(100)
    road.upload("pets", **{"more.tar.gz": b"new"})
    road.command("start_training", run, "prep")
    assert state(road, run) == "deployed"
    assert not road.world.bus.of("Retraining Requested")


def test_a_superseded_run_stays_so_when_its_data_come_back(road: Road) -> None:
    run = begun(road)
    road.upload("pets", **{"more.tar.gz": b"new"})
    road.prepare(run)
    road.command("start_training", run, "prep")
    road.store.delete("datasets/pets/more.tar.gz")
    road.command("start_training", run, "prep")
    assert run.training_job not in road.world.jobs.requests


def test_data_that_are_changed_back_train_after_all(road: Road) -> None:
    superseded = begun(road)
    road.upload("pets", **{"more.tar.gz": b"new"})
    road.prepare(superseded)
    road.command("start_training", superseded, "prep")
    road.store.delete("datasets/pets/more.tar.gz")
    road.world.clock.advance(100)
    for _ in range(2):
        road.settle("datasets/pets/more.tar.gz")
    [restored] = [run for run in road.runs if run != superseded]
    road.deploy(restored)
    assert (state(road, superseded), state(road, restored)) == ("superseded", "deployed")


def test_the_late_echo_of_a_training_brings_no_removed_model_back(road: Road) -> None:
    first = begun(road)
    road.deploy(first)
    for number in range(2):
        road.world.clock.advance(100)
        road.retrain(f"event-{number}")
        road.deploy(road.runs[-1])
    road.command("start_evaluation", first, "train")
    assert first.model not in road.world.hosting.models


def test_a_retraining_counts_from_when_it_was_asked_for(road: Road) -> None:
    begun(road)
    asked = road.now
    road.world.clock.advance(3600)
    event = {"command": "start_retraining", "request": {"dataset": "pets"}, "cause": "e", "requested_at": asked}
    road.call("start_retraining", event)
    [run] = [run for run in road.runs if road.store.json(run.key("run.json"))["attempt"]]
    assert road.store.json(run.key("run.json"))["created_at"] == asked
