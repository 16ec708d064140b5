"""Training jobs as `CreateTrainingJob` and "How SageMaker runs your training image" document them."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

BUCKET = "contract-bucket"
BUILT_IN = "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:1"


def channel(name: str, uri: str, **more: object) -> dict[str, object]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


def unpacked(aws, uri: str) -> dict[str, bytes]:
    body = aws.get(uri.removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def test_channels_and_configuration_go_in_and_archives_come_out(aws):
    """How Amazon SageMaker Provides Training Information: /opt/ml/input; model.tar.gz and output.tar.gz."""
    name = aws.name("train")
    aws.put("channels/train/train.rec", b"records")
    aws.put("channels/validation/validation.rec", b"records")
    channels = [
        channel("train", f"s3://{BUCKET}/channels/train", ContentType="application/x-recordio"),
        channel("validation", f"s3://{BUCKET}/channels/validation/", InputMode="FastFile"),
    ]
    job = aws.trained(name, InputDataConfig=channels, HyperParameters={"epochs": "3"})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/models/{name}/output/model.tar.gz"
    seen = json.loads(unpacked(aws, job["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    assert seen["hyperparameters"] == {"epochs": "3"}
    assert seen["files"] == ["train/train.rec", "validation/validation.rec"]
    assert seen["channels"]["train"]["ContentType"] == "application/x-recordio"
    assert seen["channels"]["validation"]["TrainingInputMode"] == "File"  # the container can't tell FastFile from it
    assert seen["resources"]["hosts"] == ["algo-1"]
    assert seen["job"] == name
    assert unpacked(aws, f"s3://{BUCKET}/models/{name}/output/output.tar.gz") == {"curve.csv": b"epoch,loss\n"}


def test_pictures_and_their_annotations_are_four_channels_in_file_mode(aws):
    """Object Detection - MXNet: four channels of one content type."""
    names = ("train", "train_annotation", "validation", "validation_annotation")
    for name in names:
        aws.put(f"image-format/{name}/{name}.{'json' if 'annotation' in name else 'jpg'}")
    channels = [
        channel(
            name,
            f"s3://{BUCKET}/image-format/{name}/",
            ContentType="image/jpeg",
            CompressionType="None",
            RecordWrapperType="None",
            InputMode="File",
        )
        for name in names
    ]
    job = aws.trained(aws.name("train"), InputDataConfig=channels)
    seen = json.loads(unpacked(aws, job["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    assert seen["files"] == [
        "train/train.jpg",
        "train_annotation/train_annotation.json",
        "validation/validation.jpg",
        "validation_annotation/validation_annotation.json",
    ]
    assert {document["ContentType"] for document in seen["channels"].values()} == {"image/jpeg"}


def test_the_way_is_told_by_secondary_statuses(aws, events):
    """DescribeTrainingJob, SecondaryStatusTransitions."""
    name = aws.name("train")
    job = aws.trained(name)
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(transition["StartTime"] <= transition["EndTime"] for transition in job["SecondaryStatusTransitions"])
    details = [event["detail"] for event in events()]
    told = [detail["SecondaryStatus"] for detail in details if detail.get("TrainingJobName") == name]  # others may end
    assert told == statuses
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] >= 1


def test_metrics_are_the_last_values_that_the_expressions_find(aws):
    """DescribeTrainingJob, FinalMetricDataList: the last value of each metric."""
    definitions = [{"Name": "validation:mAP", "Regex": r"validation mAP <score>=\((\S+)\)"}]
    specification = aws.training_request("any")["AlgorithmSpecification"] | {"MetricDefinitions": definitions}
    job = aws.trained(aws.name("train"), AlgorithmSpecification=specification)
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [
        ("validation:mAP", 0.5)
    ]


def test_the_built_in_algorithm_brings_its_own_metrics(aws):
    """AlgorithmSpecification, MetricDefinitions: preset for SageMaker's own algorithms."""
    specification = {"TrainingImage": BUILT_IN, "TrainingInputMode": "File"}
    job = aws.trained(aws.name("train"), AlgorithmSpecification=specification)
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics == {"train:smooth_l1": 0.75, "validation:mAP": 0.5}
    with pytest.raises(ClientError, match="can't override the metric definitions"):
        aws.train(
            aws.name("train"),
            AlgorithmSpecification=specification | {"MetricDefinitions": [{"Name": "a", "Regex": "b"}]},
        )


def test_other_images_have_no_metrics_of_their_own(aws):
    """AlgorithmSpecification, MetricDefinitions: none unless they are given."""
    assert "FinalMetricDataList" not in aws.trained(aws.name("train"))


def test_the_failure_file_is_the_reason(aws, events):
    """How Amazon SageMaker Processes Training Output: the first 1,024 characters of /opt/ml/output/failure."""
    name = aws.name("train")
    job = aws.trained(name, HyperParameters={"failure": "learning_rate must be below 1." + "x" * 2000})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: learning_rate must be below 1.x")
    assert job["FailureReason"].endswith("x, exit code: 1")
    assert len(job["FailureReason"]) == len("AlgorithmError: , exit code: 1") + 1024
    assert "ModelArtifacts" not in job
    assert events()[-1]["detail"]["FailureReason"] == job["FailureReason"]


def test_without_a_failure_file_the_exit_code_is_the_reason(aws):
    """DescribeTrainingJob, FailureReason: AlgorithmError with the exit code."""
    job = aws.trained(aws.name("train"), HyperParameters={"exit": "7"})
    assert job["FailureReason"] == "AlgorithmError: , exit code: 7"


def test_an_output_that_cannot_be_kept_does_not_hide_why_the_job_failed(aws):
    """DescribeTrainingJob, FailureReason: the first reason."""
    nowhere = {"S3OutputPath": "s3://no-such-bucket/models/"}
    job = aws.trained(aws.name("train"), HyperParameters={"exit": "7"}, OutputDataConfig=nowhere)
    assert job["FailureReason"] == "AlgorithmError: , exit code: 7"


def test_the_runtime_limit_stops_the_job_and_keeps_the_model(aws):
    """DescribeTrainingJob, SecondaryStatus MaxRuntimeExceeded: Stopped, with what the container saved."""
    name = aws.name("train")
    job = aws.trained(name, HyperParameters={"sleep": "30"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "seen.json" in unpacked(aws, job["ModelArtifacts"]["S3ModelArtifacts"])


def test_a_stopped_job_may_save_what_it_has(aws):
    """StopTrainingJob: SIGTERM, and 120 seconds to save the model."""
    name = aws.name("train")
    aws.train(name, HyperParameters={"sleep": "30"})
    aws.listening(name)
    aws["sagemaker"].stop_training_job(TrainingJobName=name)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "seen.json" in unpacked(aws, job["ModelArtifacts"]["S3ModelArtifacts"])


def test_checkpoints_are_brought_back_to_the_next_job(aws):
    """CheckpointConfig: S3 and the local path are kept in step."""
    location = {"S3Uri": f"s3://{BUCKET}/checkpoints/{aws.name('kept')}"}
    prefix = location["S3Uri"].removeprefix(f"s3://{BUCKET}/") + "/"
    aws.trained(aws.name("train"), CheckpointConfig=location)
    assert aws.keys(prefix) == ["checkpoint-0"]
    aws.trained(aws.name("train"), CheckpointConfig=location)
    assert aws.keys(prefix) == ["checkpoint-0", "checkpoint-1"]


def test_a_name_is_never_free_again(aws):
    """CreateTrainingJob, ResourceInUse: names are unique for good."""
    name = aws.name("train")
    aws.trained(name, HyperParameters={"exit": "1"})
    with pytest.raises(ClientError) as refused:
        aws.train(name)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


@pytest.mark.parametrize(
    ("spot", "stopping"),
    [
        (True, {"MaxRuntimeInSeconds": 60}),
        (True, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}),
        (False, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}),
    ],
)
def test_spot_needs_a_wait_at_least_as_long_as_the_run(aws, spot, stopping):
    """StoppingCondition, MaxWaitTimeInSeconds: equal to or greater than MaxRuntimeInSeconds."""
    with pytest.raises(ClientError, match="MaxWaitTimeInSeconds"):
        aws.train(aws.name("train"), EnableManagedSpotTraining=spot, StoppingCondition=stopping)


def test_the_event_carries_its_times_as_strings_of_milliseconds(aws, events):
    """Events that SageMaker sends to EventBridge, training job state change."""
    name = aws.name("train")
    aws.trained(name, HyperParameters={"epochs": "3"})
    event = events()[-1]
    assert event["detail-type"] == "SageMaker Training Job State Change"
    detail = event["detail"]
    assert detail["HyperParameters"] == {"epochs": "3"}
    assert int(detail["TrainingEndTime"]) > 1_600_000_000_000
    assert isinstance(detail["CreationTime"], str)
    assert "ModelArtifacts" not in detail
    assert "FinalMetricDataList" not in detail
