"""What a plan may ask of its training, with real trainings: spot capacity, a search, the champion's weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed import Deployed, wait_for

from dropspot_local.control import Control

pytestmark = pytest.mark.e2e

Small = Callable[..., Path]
TINY = {"base_network": "tiny", "image_shape": 128}
NOT_DEPLOYED = {"min_map50": 1}  # the trainings are looked at, and nothing goes into service


def started(deployed: Deployed, folder: Path, dataset: str) -> tuple[str, dict[str, Any]]:
    """Upload the folder; returns the id of its run, and its train.json once there is one."""
    deployed.upload(folder, dataset)
    run_id = deployed.run(dataset)
    return run_id, wait_for(f"the training of {run_id}", lambda: deployed.json(f"runs/{run_id}/train.json"), 120)


def logs(deployed: Deployed, job: str) -> list[list[str]]:
    """The job's log streams, oldest first: one for each of its attempts."""
    client, group = deployed.client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    names = sorted(stream["logStreamName"] for stream in streams)
    return [
        [event["message"] for event in client.get_log_events(logGroupName=group, logStreamName=name)["events"]]
        for name in names
    ]


def epochs(log: list[str]) -> list[int]:
    """The epochs that a log tells the validation's mAP of."""
    marked = [line for line in log if "#quality_metric" in line and "validation mAP" in line]
    return [int(line.partition("epoch=")[2].partition(",")[0]) for line in marked]


def test_a_training_whose_spot_capacity_is_taken_away_goes_on_from_its_checkpoint(
    deployed: Deployed, small: Small
) -> None:
    plan = {"spot": True, "hyperparameters": TINY | {"epochs": 16}, "gate": NOT_DEPLOYED}
    run_id, training = started(deployed, small(21, plan), "interrupted")
    wait_for("a checkpoint", lambda: deployed.keys(f"runs/{run_id}/checkpoints/"), 120)
    Control(deployed.exports["AWS_ENDPOINT_URL"]).interrupt(training["job"], capacity_after=1)
    assert deployed.ended(run_id) == "judged"
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=training["job"])
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses.count("Training") == 2
    assert statuses[statuses.index("Interrupted") :][:3] == ["Interrupted", "Starting", "Downloading"]
    first, second = logs(deployed, training["job"])
    assert any("resumed from the checkpoint" in line for line in second)
    assert epochs(second)[0] > 0
    assert epochs(second)[0] <= epochs(first)[-1] + 1  # nothing was left out
    assert epochs(second)[-1] == 15


@pytest.mark.full
def test_two_machines_train_one_model(deployed: Deployed, small: Small) -> None:
    plan = {"instance": {"count": 2}, "hyperparameters": TINY | {"epochs": 3}, "gate": NOT_DEPLOYED}
    run_id, training = started(deployed, small(24, plan), "two-machines")
    assert deployed.ended(run_id) == "judged"
    first, second = logs(deployed, training["job"])
    assert any("training on 2 hosts" in line for line in first)
    assert epochs(first) == [0, 1, 2]
    assert epochs(second) == []  # the first host speaks for both
    assert any("epoch 2: validation AP by class" in line for line in second)


@pytest.mark.full
def test_a_searchs_best_training_becomes_the_runs_model_and_its_trainings_start_nothing(
    deployed: Deployed, small: Small
) -> None:
    search = {"ranges": {"learning_rate": {"min": 0.0005, "max": 0.005}}, "max_jobs": 2, "parallel": 2}
    plan = {"tuning": search, "hyperparameters": TINY | {"epochs": 3}, "gate": NOT_DEPLOYED}
    run_id, training = started(deployed, small(22, plan), "searched")
    assert deployed.ended(run_id) == "judged"
    sagemaker = deployed.client("sagemaker")
    tuning = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=training["job"])
    assert tuning["TrainingJobStatusCounters"]["Completed"] == 2
    best = sagemaker.describe_training_job(TrainingJobName=tuning["BestTrainingJob"]["TrainingJobName"])
    model = sagemaker.describe_model(ModelName=f"dropspot-{run_id}-model")
    assert model["PrimaryContainer"]["ModelDataUrl"] == best["ModelArtifacts"]["S3ModelArtifacts"]
    trainings = sagemaker.list_training_jobs(NameContains=run_id[-10:])["TrainingJobSummaries"]
    assert len(trainings) == 2
    transforms = sagemaker.list_transform_jobs(NameContains=run_id)["TransformJobSummaries"]
    assert [job["TransformJobName"] for job in transforms] == [f"dropspot-{run_id}-eval"]


@pytest.mark.full
def test_an_incremental_training_begins_with_the_champions_weights(
    deployed: Deployed, champion: str, small: Small
) -> None:
    in_service = wait_for("the champion's record", lambda: deployed.json("endpoint/champion.json"))
    network = deployed.json(f"runs/{in_service['run_id']}/train.json")["request"]["HyperParameters"]  # type: ignore[index]
    chosen = {name: network[name] for name in ("base_network", "image_shape")} | {"epochs": 1}
    plan = {"incremental": True, "hyperparameters": chosen, "gate": NOT_DEPLOYED}
    run_id, training = started(deployed, small(23, plan), "continued")
    assert training["incremental"]["from_run"] == in_service["run_id"], json.dumps(training["incremental"])
    assert deployed.ended(run_id) == "judged"
    [log] = logs(deployed, training["job"])
    assert any("the model of channel model" in line for line in log)
