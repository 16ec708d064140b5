"""Training jobs with several instances: a container each."""

from __future__ import annotations

import io
import ipaddress
import json
import tarfile
import time
from typing import Any

BUCKET = "contract-bucket"
TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}


def channel(name: str, prefix: str, distribution: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}/", "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def seen_by_hosts(aws, job: dict[str, Any]) -> dict[str, Any]:
    body = aws.get(job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        documents = {
            member.name: json.loads(tar.extractfile(member).read()) for member in tar if member.name.endswith(".json")
        }
    return {name.removeprefix("seen-").removesuffix(".json"): seen for name, seen in documents.items()}


def test_each_host_is_told_who_it_is_and_who_and_where_the_others_are(aws):
    """How Amazon SageMaker Provides Training Information: resourceconfig.json names current_host and hosts."""
    job = aws.trained(aws.name("train"), ResourceConfig=TWO)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    seen = seen_by_hosts(aws, job)
    assert sorted(seen) == ["algo-1", "algo-2"]
    for name, document in seen.items():
        assert document["resources"]["current_host"] == name
        assert document["resources"]["hosts"] == ["algo-1", "algo-2"]
        assert document["addresses"] == seen["algo-1"]["addresses"]
    addresses = dict(entry.split("=") for entry in seen["algo-1"]["addresses"].split(","))
    assert list(addresses) == ["algo-1", "algo-2"]
    assert len(set(addresses.values())) == 2
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses.values())


def test_two_jobs_have_no_address_in_common(aws):
    """docs/embedded-cloud.md: the hosts of a job have addresses of their own on loopback."""
    jobs = [seen_by_hosts(aws, aws.trained(aws.name("train"), ResourceConfig=TWO)) for _ in range(2)]
    assert jobs[0]["algo-1"]["addresses"] != jobs[1]["algo-1"]["addresses"]


def test_a_channel_is_replicated_or_sharded_as_it_says(aws):
    """S3DataSource, S3DataDistributionType: FullyReplicated or ShardedByS3Key."""
    for number in range(5):
        aws.put(f"hosts/{number}.rec")
    channels = [channel("train", "hosts", "ShardedByS3Key"), channel("validation", "hosts", "FullyReplicated")]
    seen = seen_by_hosts(aws, aws.trained(aws.name("train"), ResourceConfig=TWO, InputDataConfig=channels))
    files = {name: {*document["files"]} for name, document in seen.items()}
    shards = {name: {file for file in found if file.startswith("train/")} for name, found in files.items()}
    assert sorted(len(shard) for shard in shards.values()) == [2, 3]
    assert shards["algo-1"] | shards["algo-2"] == {f"train/{number}.rec" for number in range(5)}
    everything = {f"validation/{number}.rec" for number in range(5)}
    assert all(found - shards[name] == everything for name, found in files.items())
    assert seen["algo-2"]["channels"]["train"]["S3DistributionType"] == "ShardedByS3Key"


def test_a_pipe_is_sharded_too(aws):
    """S3DataSource, S3DataDistributionType: in Pipe mode too."""
    aws.put("piped-hosts/a.rec", b"first")
    aws.put("piped-hosts/b.rec", b"second")
    algorithm = aws.training_request("x")["AlgorithmSpecification"] | {"TrainingInputMode": "Pipe"}
    job = aws.trained(
        aws.name("train"),
        ResourceConfig=TWO,
        AlgorithmSpecification=algorithm,
        InputDataConfig=[channel("train", "piped-hosts", "ShardedByS3Key")],
        HyperParameters={"pipes": json.dumps({"train": [-1]})},
    )
    body = aws.get(job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        piped = sorted(tar.extractfile(member).read() for member in tar if member.name.startswith("train_0"))
    assert piped == [b"first", b"second"]


def test_one_host_that_fails_ends_the_job_with_its_reason(aws):
    """DescribeTrainingJob, FailureReason: of the host that failed."""
    begun = time.monotonic()
    job = aws.trained(aws.name("train"), ResourceConfig=TWO, HyperParameters={"sleep": "60", "failing_host": "algo-2"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: algo-2 has failed, exit code: 1"
    assert time.monotonic() - begun < 20


def test_stopping_reaches_every_host(aws):
    """StopTrainingJob: SIGTERM on every instance."""
    name = aws.name("train")
    aws.train(name, ResourceConfig=TWO, HyperParameters={"sleep": "60"})
    aws.listening(name, hosts=2)
    aws["sagemaker"].stop_training_job(TrainingJobName=name)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert sorted(seen_by_hosts(aws, job)) == ["algo-1", "algo-2"]


def test_each_host_has_a_log_of_its_own(aws):
    """Log Groups and Streams that Amazon SageMaker Sends to Amazon CloudWatch Logs: one stream for each instance."""
    name = aws.name("train")
    aws.trained(name, ResourceConfig=TWO)
    for host in ("algo-1", "algo-2"):
        assert len(aws.log("/aws/sagemaker/TrainingJobs", f"{name}/{host}-")) == 4


def test_a_checkpoint_that_a_host_was_given_and_left_alone_is_not_sent_back(aws):
    """CheckpointConfig: else the stale copy of one host would take the place of what another has written."""
    location = {"S3Uri": f"s3://{BUCKET}/checkpoints/{aws.name('shared')}"}
    prefix = location["S3Uri"].removeprefix(f"s3://{BUCKET}/") + "/"
    aws.put(f"{prefix}progress", b"old")
    job = aws.trained(
        aws.name("train"), ResourceConfig=TWO, CheckpointConfig=location, HyperParameters={"rewriting_host": "algo-1"}
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert aws.get(f"{prefix}progress") == b"new"
