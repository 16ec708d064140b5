"""What a plan may ask of its training: spot, several machines, the champion's weights, a search; and who is told."""

import itertools
import json
from typing import Any

import pytest
from road import Road, begun, state

from dropspot.plan import BUILT_IN, DETECTOR
from dropspot.ports import JobKind
from dropspot.runs import Run
from dropspot.testing import assert_valid_request

TUNING = {
    "ranges": {
        "learning_rate": {"min": 0.0001, "max": 0.01, "scaling": "Logarithmic"},
        "mini_batch_size": {"min": 8, "max": 16},
        "optimizer": {"values": ["sgd", "adam"]},
    },
    "max_jobs": 4,
    "parallel": 2,
}


def started(road: Road, dataset: str = "pets", **stated: Any) -> Run:
    """A run with this plan whose training has been started, or refused."""
    before = set(road.runs)
    road.upload(dataset, **{"images.tar.gz": b"a", "training.json": json.dumps(stated).encode()})
    road.settle(f"datasets/{dataset}/images.tar.gz")
    [run] = set(road.runs) - before
    road.prepare(run)
    road.command("start_training", run, "prep")
    return run


def sent(road: Road, run: Run) -> dict[str, Any]:
    return dict(road.world.jobs.requests[run.training_job])


def document(road: Road, run: Run) -> dict[str, Any]:
    return dict(road.store.json(run.key("train.json")))


def champion(road: Road, dataset: str = "pets") -> Run:
    """A run whose model is in service, and its file in the bucket."""
    run = begun(road, dataset)
    road.deploy(run)
    road.store.put(run.key("model", run.training_job, "output", "model.tar.gz"), b"model")
    return run


COMBINATIONS = list(
    itertools.product(
        (BUILT_IN, DETECTOR),
        ("recordio", "image", "augmented-manifest"),
        (False, True),
        (1, 2),
        (False, True),
        (False, True),
    )
)


@pytest.mark.parametrize(("algorithm", "output", "spot", "count", "incremental", "tuned"), COMBINATIONS)
def test_every_combination_makes_a_request_that_the_service_takes(
    algorithm: str, output: str, spot: bool, count: int, incremental: bool, tuned: bool
) -> None:
    road = Road(algorithm=algorithm)
    if incremental:
        champion(road)
    stated: dict[str, Any] = {"output": output, "spot": spot, "instance": {"count": count}, "incremental": incremental}
    run = started(road, **stated, **({"tuning": TUNING} if tuned else {}))
    report = road.store.json(run.key("report", "report.json"))
    road.store.put_json(run.key("report", "report.json"), report | {"output": output})
    road.store.delete(run.key("failure.json"))
    road.command("start_training", run, "prep")
    assert state(road, run) == "running", road.store.json(run.key("failure.json"))
    name, operation = (
        (run.tuning_job, "CreateHyperParameterTuningJob") if tuned else (run.training_job, "CreateTrainingJob")
    )
    request = road.world.jobs.requests[name]
    assert_valid_request("sagemaker", operation, request)
    training = request["TrainingJobDefinition"] if tuned else request
    assert training["EnableManagedSpotTraining"] is spot
    assert ("MaxWaitTimeInSeconds" in training["StoppingCondition"]) is spot
    assert training["ResourceConfig"]["InstanceCount"] == count
    assert ("model" in {c["ChannelName"] for c in training["InputDataConfig"]}) is incremental
    assert ("CheckpointConfig" in training) is not tuned


def test_training_is_tagged_with_its_run_data_and_who_pays() -> None:
    road = Road()
    run = begun(road)
    road.prepare(run)
    report = road.store.json(run.key("report", "report.json"))
    road.store.put_json(run.key("report", "report.json"), report | {"digest": "ab12"})
    road.command("start_training", run, "prep")
    tags = {tag["Key"]: tag["Value"] for tag in sent(road, run)["Tags"]}
    assert tags == {
        "dropspot:app": "dropspot",
        "dropspot:run": run.run_id,
        "dropspot:dataset": "pets",
        "dropspot:digest": "ab12",
        "CostCentre": "pets-42",
    }


def test_without_a_cost_centre_there_is_no_such_tag() -> None:
    road = Road(cost_centre="")
    assert "CostCentre" not in {tag["Key"] for tag in sent(road, started(road))["Tags"]}


def test_spot_keeps_checkpoints_and_waits_as_long_again() -> None:
    road = Road()
    run = started(road, spot=True, max_runtime_seconds=600)
    request = sent(road, run)
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
    assert request["CheckpointConfig"] == {"S3Uri": f"s3://bucket/{run.key('checkpoints')}/"}


def test_hyperparameters_that_cannot_be_trained_with_fail_the_run_instead_of_the_job() -> None:
    road = Road(algorithm=BUILT_IN)
    run = started(road, instance={"type": "ml.m5.xlarge"})
    assert state(road, run) == "failed"
    assert "ml.m5.xlarge is none of them" in road.store.json(run.key("failure.json"))["message"]
    assert run.training_job not in road.world.jobs.requests


def test_an_incremental_training_begins_with_the_champions_model() -> None:
    road = Road()
    earlier = champion(road)
    run = started(road, incremental=True)
    [channel] = [c for c in sent(road, run)["InputDataConfig"] if c["ChannelName"] == "model"]
    uri = f"s3://bucket/{earlier.key('model', earlier.training_job, 'output', 'model.tar.gz')}"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == uri
    assert (channel["ContentType"], channel["InputMode"]) == ("application/x-sagemaker-model", "File")
    assert document(road, run)["incremental"] == {"from_run": earlier.run_id, "model_data": uri}


def reason(road: Road, **stated: Any) -> str:
    run = started(road, incremental=True, **stated)
    assert state(road, run) == "running"
    assert "model" not in {c["ChannelName"] for c in sent(road, run)["InputDataConfig"]}
    noted = document(road, run)["incremental"]
    assert noted["from_run"] == ""
    return str(noted["because"])


def test_without_a_champion_an_incremental_training_begins_anew_and_says_so() -> None:
    assert reason(Road()) == "no model is in service yet"


def test_another_network_or_size_begins_anew_and_says_so() -> None:
    road = Road()
    champion(road)
    assert "has base_network efficientnet-lite0, not tiny" in reason(road, hyperparameters={"base_network": "tiny"})
    assert "has image_shape 289, not 512" in reason(road, hyperparameters={"image_shape": 512})


def test_other_classes_begin_anew_and_say_so() -> None:
    road = Road()
    earlier = champion(road)
    road.store.put_json(earlier.key("prepared", "classes.json"), {"classes": ["dog"]})
    assert reason(road).endswith("knows other classes")


def test_another_algorithms_model_is_not_gone_on_from() -> None:
    road = Road()
    champion(road)
    road.changes["training_image"] = "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:1"
    assert reason(road).endswith("was trained by detector, not by object-detection")


def test_a_champion_whose_file_is_gone_begins_anew_and_says_so() -> None:
    road = Road()
    road.deploy(begun(road))
    assert "the file of the model in service" in reason(road)


def test_a_run_that_asks_for_nothing_notes_nothing() -> None:
    road = Road()
    assert "incremental" not in document(road, started(road))


def test_a_search_is_a_tuning_job_in_the_trainings_place() -> None:
    road = Road()
    run = started(road, tuning=TUNING)
    assert run.tuning_job == f"dropspot-t-{run.run_id[-10:]}"
    assert run.training_job not in road.world.jobs.requests
    request = road.world.jobs.requests[run.tuning_job]
    config = request["HyperParameterTuningJobConfig"]
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2}
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "validation:mAP"}
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [
            {"Name": "mini_batch_size", "MinValue": "8", "MaxValue": "16", "ScalingType": "Auto"}
        ],
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": "0.0001", "MaxValue": "0.01", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adam"]}],
    }
    fixed = request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert not fixed.keys() & TUNING["ranges"].keys()  # type: ignore[attr-defined]
    assert fixed["num_classes"] == "1"
    assert document(road, run)["job"] == run.tuning_job


def tuned(road: Road, status: str = "Completed", **more: Any) -> Run:
    """A run whose tuning job has ended, as resume_runs hears of it."""
    run = started(road, tuning=TUNING)
    road.world.jobs.end(JobKind.TUNING, run.tuning_job, status, **more)
    road.call("resume_runs", {"command": "resume_runs", "cause": "event-t"})
    return run


def test_the_best_trainings_model_goes_on_to_the_evaluation() -> None:
    road = Road()
    model = "s3://bucket/runs/x/model/dropspot-t-0-002-ab/output/model.tar.gz"
    run = tuned(road, model_data=model)
    assert road.world.bus.of("Step Due") == [{"command": "start_evaluation", "job": run.training_job}]
    road.command("start_evaluation", run, "train")
    assert road.world.hosting.models[run.model]["PrimaryContainer"]["ModelDataUrl"] == model
    assert run.transform_job in road.world.jobs.requests


def test_a_search_that_failed_is_a_failed_training() -> None:
    road = Road()
    run = tuned(road, "Failed", reason="No training job succeeded after 5 attempts.")
    assert road.world.bus.of("Step Due") == [{"command": "record_failure", "job": run.training_job}]
    road.command("record_failure", run, "train")
    failure = road.store.json(run.key("failure.json"))
    assert (failure["step"], failure["message"]) == ("train", "No training job succeeded after 5 attempts.")


def test_a_search_that_goes_on_wakes_nobody() -> None:
    road = Road()
    started(road, tuning=TUNING)
    road.call("resume_runs", {"command": "resume_runs", "cause": "event-t"})
    assert road.world.bus.of("Step Due") == []


def test_a_champion_that_was_tuned_can_be_gone_on_from() -> None:
    road = Road()
    earlier = started(road, tuning=TUNING)
    key = earlier.key("model", f"{earlier.tuning_job}-002-ab", "output", "model.tar.gz")
    road.store.put(key, b"model")
    road.world.jobs.end(JobKind.TUNING, earlier.tuning_job, model_data=f"s3://bucket/{key}")
    road.command("start_evaluation", earlier, "train")
    road.evaluate(earlier)
    road.command("deploy_model", earlier, "eval")
    road.reconcile()
    road.come_up()
    road.reconcile()
    run = started(road, incremental=True)
    assert document(road, run)["incremental"]["from_run"] == earlier.run_id
