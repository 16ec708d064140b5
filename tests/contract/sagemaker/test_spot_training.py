"""Managed spot training: interruption, resumption from checkpoints, and the limits of both times.

Cases name the page of the SageMaker Developer Guide or API Reference whose behaviour they copy.
"""

from __future__ import annotations

import time

import pytest

from dropspot_local.control import Control, ControlError

BUCKET = "contract-bucket"


@pytest.fixture
def control(aws) -> Control:
    return Control(aws.url)


def training(aws, name: str) -> None:
    """Wait until the job trains."""
    until(aws, name, "Training")


def until(aws, name: str, secondary: str) -> None:
    deadline = time.monotonic() + 20
    while aws["sagemaker"].describe_training_job(TrainingJobName=name)["SecondaryStatus"] != secondary:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def spot(wait: int = 600, run: int = 60) -> dict[str, object]:
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": run, "MaxWaitTimeInSeconds": wait},
    }


def test_an_interrupted_job_starts_again_with_its_checkpoints(aws, control, events):
    """Managed Spot Training: the job is interrupted, waits for capacity, and goes on from the checkpoints in S3."""
    name = aws.name("train")
    prefix = f"checkpoints/{name}/"
    location = {"S3Uri": f"s3://{BUCKET}/{prefix}"}
    aws.train(name, CheckpointConfig=location, HyperParameters={"sleep": "8"}, **spot())
    deadline = time.monotonic() + 20
    while aws.keys(prefix) != ["checkpoint-0"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    control.interrupt(name, capacity_after=1)
    job = aws.ended("describe_training_job", "TrainingJobStatus", seconds=40, TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert aws.keys(prefix) == ["checkpoint-0", "checkpoint-1"]  # the second attempt found the first one's
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    again = ["Interrupted", "Starting", "Downloading", "Training"]
    assert statuses == ["Starting", "Downloading", "Training", *again, "Uploading", "Completed"]
    assert [event["detail"]["SecondaryStatus"] for event in events()] == statuses
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]


def test_without_checkpoints_an_interrupted_job_begins_anew(aws, control):
    """CheckpointConfig: without it nothing of an interrupted attempt is kept."""
    name = aws.name("train")
    aws.train(name, HyperParameters={"sleep": "1"}, **spot())
    training(aws, name)
    control.interrupt(name)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed"
    assert "Interrupted" in [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def test_waiting_for_capacity_ends_with_the_wait_time(aws, control):
    """StoppingCondition, MaxWaitTimeInSeconds: waiting and running together take no longer."""
    name = aws.name("train")
    aws.train(name, HyperParameters={"sleep": "30"}, **spot(wait=4, run=3))
    training(aws, name)
    control.interrupt(name, capacity_after=60)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert "ModelArtifacts" not in job


def test_the_runtime_limit_counts_all_attempts(aws, control):
    """StoppingCondition, MaxRuntimeInSeconds: the time on instances, however many there were."""
    name = aws.name("train")
    begun = time.monotonic()
    aws.train(name, HyperParameters={"sleep": "30"}, **spot(run=4))
    training(aws, name)
    time.sleep(2)
    control.interrupt(name)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert 3 <= job["BillableTimeInSeconds"] <= 5
    assert time.monotonic() - begun < 12


def test_a_job_that_waits_for_capacity_can_be_stopped(aws, control):
    """StopTrainingJob: also while nothing of the job runs."""
    name = aws.name("train")
    aws.train(name, HyperParameters={"sleep": "30"}, **spot())
    training(aws, name)
    control.interrupt(name, capacity_after=60)
    until(aws, name, "Interrupted")
    aws["sagemaker"].stop_training_job(TrainingJobName=name)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")


def test_only_a_spot_job_that_trains_can_be_interrupted(aws, control):
    """Managed Spot Training: jobs on demand keep their instances."""
    name = aws.name("train")
    aws.train(name, HyperParameters={"sleep": "1"})
    training(aws, name)
    with pytest.raises(ControlError, match="doesn't run on spot capacity"):
        control.interrupt(name)
    done = aws.name("train")
    aws.trained(done, **spot())
    with pytest.raises(ControlError, match="is not in Training but Completed"):
        control.interrupt(done)
