from datetime import timedelta

import pytest
from road import Road

from dropspot.errors import TransientError
from dropspot.ports import JobKind
from dropspot.runs import Run, RunStatus


@pytest.fixture
def road() -> Road:
    return Road()


def begun(road: Road, dataset: str = "pets") -> Run:
    before = set(road.runs)
    road.upload(dataset)
    road.settle(f"datasets/{dataset}/images.tar.gz")
    [run] = set(road.runs) - before
    return run


def state(road: Road, run: Run) -> str:
    return RunStatus.of(set(road.store.children(run.key("")))).state


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


def test_images_wait_until_a_model_is_in_service(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    road.reconcile()
    assert not road.world.intake.is_open("mapping")
    road.world.hosting.settle("dropspot-endpoint")
    road.reconcile()
    assert road.world.intake.is_open("mapping")


def test_a_closed_intake_is_opened_again_by_the_next_pass(road: Road) -> None:
    road.deploy(begun(road))
    road.world.intake.set_open("mapping", False)  # as a stack update does
    road.reconcile()
    assert road.world.intake.is_open("mapping")


def test_an_intake_in_between_is_left_to_the_next_pass(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    road.reconcile()
    road.world.hosting.settle("dropspot-endpoint")
    road.world.intake.between.add("mapping")
    road.reconcile()
    road.world.intake.between.clear()
    road.reconcile()
    assert road.world.intake.is_open("mapping")


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


def test_an_object_beside_the_data_sets_is_told_where_to_go(road: Road) -> None:
    road.store.put("datasets/pets.zip", b"archive")
    for _ in range(2):
        road.settle("datasets/pets.zip")
    [failed] = road.world.bus.of("Run Failed")
    assert "datasets/<name>/pets.zip" in failed["message"]
    assert '"' not in failed["notice"]


@pytest.mark.parametrize(
    "plan", [b'{"hyperparameters": {"epoch": 3}}', b'{"hyperparameters": {"epochs": "lots"}}', b"not json"]
)
def test_an_impossible_plan_fails_the_run_and_a_mended_one_is_another(road: Road, plan: bytes) -> None:
    road.upload(**{"images.tar.gz": b"archive", "training.json": plan})
    road.settle()
    [refused] = road.runs
    failure = road.store.json(refused.key("failure.json"))
    assert "training.json" in failure["message"]
    assert failure["remedy"] == "dropspot retrain pets"
    assert road.world.jobs.requests == {}
    road.world.clock.advance(100)
    road.upload(**{"training.json": b'{"hyperparameters": {"epochs": 3}}'})
    road.settle("datasets/pets/training.json")
    assert len(road.runs) == 2
    assert len(road.world.jobs.requests) == 1


def test_a_mended_gate_is_another_run_and_leaves_the_first_ones_record_alone(road: Road) -> None:
    road.upload(**{"images.tar.gz": b"archive", "training.json": b'{"gate": {"min_map50": 1}}'})
    road.settle()
    [strict] = road.runs
    road.judge(strict, good=False)
    road.world.clock.advance(100)
    road.upload(**{"training.json": b'{"gate": {"min_map50": 0}}'})
    road.settle("datasets/pets/training.json")
    assert [road.store.json(run.key("plan.json"))["gate"]["min_map50"] for run in road.runs] == [1.0, 0.0]


@pytest.mark.parametrize("plan", [b'{"classes": ["\\ud800"]}', b"[" * 90_000])
def test_a_plan_that_breaks_the_reader_fails_the_run_all_the_same(road: Road, plan: bytes) -> None:
    road.upload(**{"images.tar.gz": b"archive", "training.json": plan})
    assert road.settle() == {"batchItemFailures": []}
    [refused] = road.runs
    assert state(road, refused) == "failed"


@pytest.mark.parametrize(
    ("dataset", "command"),
    [
        ("my pets", "dropspot retrain 'my pets'"),
        ("x; touch y", "dropspot retrain 'x; touch y'"),
        ("-rf", "dropspot retrain -- -rf"),
    ],
)
def test_a_remedy_can_be_pasted_into_a_shell(road: Road, dataset: str, command: str) -> None:
    road.upload(dataset, **{"images.tar.gz": b"archive", "training.json": b"no"})
    road.settle(f"datasets/{dataset}/images.tar.gz")
    assert road.store.json(road.runs[0].key("failure.json"))["remedy"] == command


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


def test_a_failed_job_fails_its_run_with_the_jobs_own_sentence(road: Road) -> None:
    run = begun(road)
    road.world.jobs.end(JobKind.PROCESSING, run.processing_job, "Failed", reason="images.tar.gz is no archive")
    for _ in range(2):
        road.command("record_failure", run, "prep")
    assert road.store.json(run.key("failure.json"))["message"] == "images.tar.gz is no archive"
    [event] = road.world.bus.of("Run Failed")
    assert (event["run_id"], event["step"], event["dataset"]) == (run.run_id, "prep", "pets")


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
        road.call("start_retraining", {"command": "start_retraining", "request": {}, "cause": f"event-{number}"})
        road.deploy(road.runs[-1])
    assert len(road.runs) == 3
    assert road.store.json("endpoint/champion.json")["run_id"] == road.runs[-1].run_id
    # keep_configs is 1: the champion's config, and one to go back to.
    assert list(road.world.hosting.configs) == [run.endpoint_config for run in road.runs[1:]]
    assert first.model not in road.world.hosting.models


def test_a_retraining_event_delivered_twice_is_one_attempt(road: Road) -> None:
    begun(road)
    for _ in range(2):
        road.call(
            "start_retraining", {"command": "start_retraining", "request": {"dataset": "pets"}, "cause": "event-7"}
        )
    assert len(road.runs) == 2


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"dataset": "nowhere"},
        {"dataset": "sub/inner"},
        {"dataset": 7},
        {"dataset": "\ud800"},
        {"dataset": ["a"]},
        ["a"],
    ],
)
def test_a_retraining_of_nothing_is_refused_aloud(road: Road, request_: object) -> None:
    road.call("start_retraining", {"command": "start_retraining", "request": request_, "cause": "event-1"})
    [refused] = road.world.bus.of("Run Failed")
    assert refused["message"].startswith("retrain")


def test_an_endpoint_that_rolled_back_fails_the_run_and_keeps_the_champion(road: Road) -> None:
    champion = begun(road)
    road.deploy(champion)
    road.world.clock.advance(100)
    road.call("start_retraining", {"command": "start_retraining", "request": {}, "cause": "event-1"})
    candidate = road.runs[1]
    road.judge(candidate)
    road.reconcile()
    road.world.clock.advance(60)
    road.world.hosting.settle("dropspot-endpoint", config=champion.endpoint_config, reason="alarm went off")
    for _ in range(3):
        road.reconcile()
    assert road.store.json(candidate.key("failure.json"))["message"] == "alarm went off"
    assert road.store.json("endpoint/champion.json")["run_id"] == champion.run_id
    assert road.world.hosting.endpoints["dropspot-endpoint"].status == "InService"


def test_an_endpoint_that_fails_to_come_up_gives_way_to_the_champion(road: Road) -> None:
    champion = begun(road)
    road.deploy(champion)
    road.world.clock.advance(100)
    road.call("start_retraining", {"command": "start_retraining", "request": {}, "cause": "event-1"})
    candidate = road.runs[1]
    road.judge(candidate)
    road.reconcile()
    road.world.hosting.settle("dropspot-endpoint", "Failed", reason="no capacity")
    road.reconcile()
    assert road.world.hosting.endpoint("dropspot-endpoint") is None
    assert not road.world.intake.is_open("mapping")
    road.reconcile()
    assert road.world.hosting.endpoints["dropspot-endpoint"].config == champion.endpoint_config
    assert state(road, candidate) == "failed"


def test_a_missing_event_is_made_up_for(road: Road) -> None:
    run = begun(road)
    resume = {"command": "resume_runs", "cause": "event-1"}
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due") == []
    road.prepare(run)
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due") == [{"command": "start_training", "job": run.processing_job}]
    road.command("start_training", run, "prep")
    road.world.jobs.end(JobKind.TRAINING, run.training_job, "Failed", reason="out of memory")
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due")[1:] == [{"command": "record_failure", "job": run.training_job}]


def test_a_run_that_has_ended_is_forgotten(road: Road) -> None:
    run = begun(road)
    assert road.store.keys("open-runs/") == [run.open_marker]
    road.judge(run)
    road.call("resume_runs", {"command": "resume_runs", "cause": "event-1"})
    assert road.store.keys("open-runs/") == []


def test_a_foreign_object_among_the_open_runs_keeps_no_run_from_being_resumed(road: Road) -> None:
    road.store.put("open-runs/foo", b"")
    run = begun(road)
    road.prepare(run)
    road.call("resume_runs", {"command": "resume_runs", "cause": "event-1"})
    assert road.world.bus.of("Step Due") == [{"command": "start_training", "job": run.processing_job}]


def test_one_runs_trouble_fails_the_pass_after_the_others_were_resumed(road: Road) -> None:
    run = begun(road)
    road.prepare(run)
    road.store.put("open-runs/aaa-0123456789", b"")
    children = road.store.children

    def listed(prefix: str) -> list[str]:
        if prefix == "runs/aaa-0123456789/":
            raise ConnectionError("no answer")
        return children(prefix)

    road.store.children = listed  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="1 failed"):
        road.call("resume_runs", {"command": "resume_runs", "cause": "event-1"})
    assert len(road.world.bus.of("Step Due")) == 1


def test_one_data_sets_trouble_fails_its_own_messages_alone(road: Road) -> None:
    road.upload("good")
    road.upload("bad")
    road.store.put("datasets/bad/training.json", b"{}")
    reading = road.store.read

    def read(key: str) -> object:
        if key == "datasets/bad/training.json":
            raise ConnectionError("no answer")
        return reading(key)

    road.store.read = read  # type: ignore[method-assign, assignment]
    records = [road.message(f"datasets/{name}/images.tar.gz", message_id=name) for name in ("bad", "good")]
    answer = road.call("start_preprocessing", {"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert [run.run_id.rpartition("-")[0] for run in road.runs if run.processing_job in road.world.jobs.requests] == [
        "good"
    ]


def test_a_training_that_sagemaker_stopped_fails_the_run_and_names_the_way_back(road: Road) -> None:
    run = begun(road)
    road.prepare(run)
    road.command("start_training", run, "prep")
    road.world.jobs.end(JobKind.TRAINING, run.training_job, "Stopped")
    road.command("record_failure", run, "train")
    failure = road.store.json(run.key("failure.json"))
    assert failure["message"] == f"{run.training_job} was stopped"
    assert failure["remedy"] == "dropspot retrain pets"
    road.world.clock.advance(timedelta(minutes=1).total_seconds())
    road.call("start_retraining", {"command": "start_retraining", "request": {"dataset": "pets"}, "cause": "event-2"})
    assert len(road.runs) == 2
