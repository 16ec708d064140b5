"""What can't succeed ends in one sentence, and can be started again."""

from datetime import timedelta

import pytest
from road import PLAN_DEFAULTS, Road, begun, state

from dropspot.ports import JobKind


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


def test_a_failed_job_fails_its_run_with_the_jobs_own_sentence(road: Road) -> None:
    run = begun(road)
    road.world.jobs.end(JobKind.PROCESSING, run.processing_job, "Failed", reason="images.tar.gz is no archive")
    for _ in range(2):
        road.command("record_failure", run, "prep")
    assert road.store.json(run.key("failure.json"))["message"] == "images.tar.gz is no archive"
    [event] = road.world.bus.of("Run Failed")
    assert (event["run_id"], event["step"], event["dataset"]) == (run.run_id, "prep", "pets")


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
    road.retrain("event-1", request_)
    [refused] = road.world.bus.of("Run Failed")
    assert refused["message"].startswith("retrain")


def test_a_parameter_of_the_stack_is_blamed_and_not_the_plan() -> None:
    road = Road(plan_defaults=PLAN_DEFAULTS | {"max_runtime_seconds": 59})
    message = road.store.json(begun(road).key("failure.json"))["message"]
    assert message == "the stack's parameter MaxTrainingSeconds is 59: must be a whole number from 60 to 2419200"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + 400 * "0"])
@pytest.mark.parametrize("place", range(6))
def test_an_answer_with_a_number_that_is_none_fails_the_run_by_name(road: Road, number: str, place: int) -> None:
    run = begun(road)
    road.prepare(run)
    road.command("start_training", run, "prep")
    road.train(run)
    road.command("start_evaluation", run, "train")
    road.evaluate(run)
    row = ["0", "0.9", "0.1", "0.1", "0.5", "0.5"]
    row[place] = number
    key = run.key("evaluation", "raw", "a.jpg.out")
    road.store.put(key, f'{{"prediction": [[{", ".join(row)}]]}}'.encode())
    road.command("deploy_model", run, "eval")
    assert road.store.json(run.key("failure.json"))["message"].startswith(f"s3://bucket/{key} is no prediction: ")
    assert road.store.head("endpoint/desired.json") is None


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
    road.retrain("event-2", {"dataset": "pets"})
    assert len(road.runs) == 2
