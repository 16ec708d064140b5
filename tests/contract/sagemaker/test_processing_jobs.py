"""Processing jobs as `CreateProcessingJob` and "Build your own processing container" document them."""

from __future__ import annotations

import json
import re
import time

import pytest
from botocore.exceptions import ClientError

BUCKET = "contract-bucket"


def given(uri: str, path: str = "/opt/ml/processing/input/data") -> list[dict[str, object]]:
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return [{"InputName": "data", "S3Input": source}]


def wanted(uri: str, mode: str = "EndOfJob") -> dict[str, object]:
    target = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/output", "S3UploadMode": mode}
    return {"Outputs": [{"OutputName": "result", "S3Output": target}]}


def described(aws, name):
    return aws.ended("describe_processing_job", "ProcessingJobStatus", ProcessingJobName=name)


def test_inputs_come_in_by_prefix_and_outputs_go_out_at_the_end(aws):
    """CreateProcessingJob: ProcessingS3Input with S3Prefix, ProcessingS3Output at EndOfJob."""
    name = aws.name("prep")
    aws.put("in1/a b+c é%.txt", b"hello")
    aws.put("in1/deep/er.txt", b"there")
    aws.put("in1/folder/", b"")  # what the console makes of "create folder"
    aws.processing(
        name,
        ProcessingInputs=given(f"s3://{BUCKET}/in1/"),
        ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out1"),
        Environment={"GREETING": "hi"},
    )
    job = described(aws, name)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "all copied")
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert sorted(aws.keys("out1/")) == ["data/a b+c é%.txt", "data/deep/er.txt", "seen.json"]  # and not the link
    assert aws.get("out1/data/a b+c é%.txt") == b"HELLO"
    seen = json.loads(aws.get("out1/seen.json"))
    assert seen["hosts"] == {"current_host": "algo-1", "hosts": ["algo-1"]}
    assert seen["job"]["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert "GREETING" in seen["environment"]
    assert not [name for name in seen["environment"] if "KEY" in name or "TOKEN" in name]  # no credentials


def test_a_single_object_is_an_input_too(aws):
    """ProcessingS3Input, S3Uri: a prefix that is one object's key."""
    name = aws.name("prep")
    aws.put("in2/plan.json", b"{}")
    aws.put("in2/plan.json.bak", b"not asked for, but its key begins the same")
    aws.processing(
        name,
        ProcessingInputs=given(f"s3://{BUCKET}/in2/plan.json"),
        ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out2/"),
    )
    assert described(aws, name)["ProcessingJobStatus"] == "Completed"
    assert sorted(aws.keys("out2/data/")) == ["plan.json", "plan.json.bak"]  # S3Prefix means prefix


def listed(uri: str) -> list[dict[str, object]]:
    """Return an input that a manifest file lists."""
    source = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/input/listed", "S3DataType": "ManifestFile"}
    return [{"InputName": "listed", "S3Input": source | {"S3InputMode": "File"}}]


def test_a_manifest_file_brings_in_what_it_lists_below_its_prefix(aws):
    """ProcessingS3Input, S3DataType ManifestFile: keys below the manifest's prefix."""
    name = aws.name("prep")
    for key in ("in6/a b+c é%.txt", "in6/deep/er.txt", "in6/deep/left.txt"):
        aws.put(key, key.encode())
    manifest = [{"prefix": f"s3://{BUCKET}/in6/"}, "a b+c é%.txt", "deep/er.txt"]
    aws.put("lists/in6.json", json.dumps(manifest, ensure_ascii=False).encode())
    aws.processing(
        name,
        ProcessingInputs=listed(f"s3://{BUCKET}/lists/in6.json"),
        ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out6"),
    )
    assert described(aws, name)["ProcessingJobStatus"] == "Completed"
    assert sorted(aws.keys("out6/listed/")) == ["a b+c é%.txt", "deep/er.txt"]
    assert aws.get("out6/listed/deep/er.txt") == b"IN6/DEEP/ER.TXT"


def test_a_suffix_is_appended_to_the_prefix_as_it_stands(aws):
    """S3DataSource, S3Uri of a manifest: prefix and suffix are put together as they stand."""
    name = aws.name("prep")
    aws.put("in7/part-1/a.txt", b"one")
    aws.put("lists/in7.json", json.dumps([{"prefix": f"s3://{BUCKET}/in7/part-"}, "1/a.txt"]).encode())
    aws.processing(
        name,
        ProcessingInputs=listed(f"s3://{BUCKET}/lists/in7.json"),
        ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out7"),
    )
    assert described(aws, name)["ProcessingJobStatus"] == "Completed"
    assert aws.keys("out7/listed/") == ["1/a.txt"]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (None, "404|NoSuchKey"),
        (b"{", "is no JSON"),
        (b'{"prefix": "s3://contract-bucket/"}', "one or more suffixes"),
        (b'[{"prefix": "s3://contract-bucket/"}]', "one or more suffixes"),
        (b'[{"prefix": "s3://contract-bucket/"}, 7]', "one or more suffixes"),
        (b'["in6/deep/er.txt"]', "must be a JSON array of a prefix"),
        (b'[{"prefix": ""}, "a"]', "isn't an S3 URI"),
        (b'[{"prefix": "s3://contract-bucket/"}, "nothing/here.txt"]', "404 for s3://contract-bucket/nothing/here.txt"),
        (b'[{"prefix": "s3://contract-bucket/in6/"}, "../escape.txt"]', "leads out of the container's folder"),
    ],
)
def test_a_manifest_file_that_cannot_be_followed_fails_the_job(aws, manifest, said):
    """DescribeProcessingJob, FailureReason: a manifest that is none."""
    name = aws.name("prep")
    if manifest is not None:
        aws.put(f"lists/{name}.json", manifest)
    aws.processing(name, ProcessingInputs=listed(f"s3://{BUCKET}/lists/{name}.json"))
    job = described(aws, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert re.search(said, job["FailureReason"]), job["FailureReason"]


def test_a_processing_input_is_no_augmented_manifest(aws):
    """ProcessingS3Input, S3DataType: ManifestFile or S3Prefix."""
    inputs = listed(f"s3://{BUCKET}/lists/in6.json")
    inputs[0]["S3Input"]["S3DataType"] = "AugmentedManifestFile"
    with pytest.raises(ClientError, match=r"enum value set: \[ManifestFile, S3Prefix\]"):
        aws.processing(aws.name("prep"), ProcessingInputs=inputs)


def test_the_environment_of_the_request_reaches_the_container(aws):
    """CreateProcessingJob, Environment."""
    name, uri = aws.name("prep"), f"s3://{BUCKET}/datasets/été pets/"
    aws.processing(
        name, Environment={"ECHO": "WHERE", "WHERE": uri}, ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out8")
    )
    assert described(aws, name)["Environment"]["WHERE"] == uri
    assert aws.log("/aws/sagemaker/ProcessingJobs", f"{name}/algo-1-") == ["processing begins", uri]


def test_a_failed_container_leaves_its_message_and_no_output(aws):
    """DescribeProcessingJob, ExitMessage: what the container wrote to /opt/ml/output/message."""
    name = aws.name("prep")
    aws.processing(
        name, Environment={"FAIL": "No annotation was found."}, ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out3")
    )
    job = described(aws, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["ExitMessage"] == "No annotation was found."
    assert job["FailureReason"] == "AlgorithmError: No annotation was found., exit code: 1"
    assert aws.keys("out3/") == []


def test_an_input_without_objects_fails_the_job_by_name(aws):
    """DescribeProcessingJob, FailureReason: no S3 objects under the prefix."""
    name = aws.name("prep")
    aws.processing(name, ProcessingInputs=given(f"s3://{BUCKET}/nothing/here/"))
    job = described(aws, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/here/"' in job["FailureReason"]


def test_a_key_that_leads_out_of_the_folder_fails_the_job(aws):
    """docs/embedded-cloud.md: a key can't write outside of its container's folder."""
    name = aws.name("prep")
    aws.put("in4/../../escape.txt")
    aws.processing(name, ProcessingInputs=given(f"s3://{BUCKET}/in4/"))
    assert "leads out of the container's folder" in described(aws, name)["FailureReason"]


def test_an_unknown_image_fails_the_job_by_name(aws):
    """docs/embedded-cloud.md: three image names are known."""
    name = aws.name("prep")
    aws.processing(name, AppSpecification={"ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/other:1"})
    assert "123456789012.dkr.ecr.us-east-1.amazonaws.com/other:1" in described(aws, name)["FailureReason"]


def test_a_job_over_its_time_is_stopped(aws):
    """ProcessingStoppingCondition, MaxRuntimeInSeconds."""
    name = aws.name("prep")
    aws.processing(name, Environment={"SLEEP": "30"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert described(aws, name)["ProcessingJobStatus"] == "Stopped"


def test_a_job_can_be_stopped_once(aws, events):
    """StopProcessingJob: Stopping, then Stopped."""
    name = aws.name("prep")
    aws.processing(name, Environment={"SLEEP": "30"})
    time.sleep(0.3)
    aws["sagemaker"].stop_processing_job(ProcessingJobName=name)
    assert described(aws, name)["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped") as refused:
        aws["sagemaker"].stop_processing_job(ProcessingJobName=name)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    statuses = [event["detail"]["ProcessingJobStatus"] for event in events()]
    assert statuses[-2:] == ["Stopping", "Stopped"]


def test_a_name_is_never_free_again(aws):
    """CreateProcessingJob, ResourceInUse: names are unique for good."""
    name = aws.name("prep")
    aws.processing(name)
    described(aws, name)
    with pytest.raises(ClientError) as refused:
        aws.processing(name)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_the_output_is_in_the_log(aws):
    """Log Groups and Streams that Amazon SageMaker Sends to Amazon CloudWatch Logs: /aws/sagemaker/ProcessingJobs."""
    name = aws.name("prep")
    aws.processing(name)
    described(aws, name)
    assert aws.log("/aws/sagemaker/ProcessingJobs", f"{name}/algo-1-") == ["processing begins"]


def test_the_event_has_the_documented_shape(aws, events):
    """Events that SageMaker sends to EventBridge, processing job state change: enumerations in upper case."""
    name = aws.name("prep")
    aws.put("in5/a.txt")
    aws.processing(
        name,
        ProcessingInputs=given(f"s3://{BUCKET}/in5/"),
        ProcessingOutputConfig=wanted(f"s3://{BUCKET}/out5"),
    )
    described(aws, name)
    event = events()[-1]
    assert event["detail-type"] == "SageMaker Processing Job State Change"
    assert event["source"] == "aws.sagemaker"
    assert event["resources"] == [f"arn:aws:sagemaker:us-east-1:000000000000:processing-job/{name}"]
    detail = event["detail"]
    assert (detail["ProcessingJobName"], detail["ProcessingJobStatus"]) == (name, "Completed")
    assert detail["ProcessingInputs"][0]["S3Input"]["S3DataType"] == "S3PREFIX"
    assert detail["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3UploadMode"] == "ENDOFJOB"
    assert detail["ProcessingEndTime"] > 1_600_000_000_000  # milliseconds, as a number
    assert "ExitMessage" not in detail


@pytest.mark.parametrize("path", ["/tmp/x", "/opt/ml/processing", "/opt/ml/processing/../model"])
def test_local_paths_are_below_the_processing_folder(aws, path):
    """ProcessingS3Input, LocalPath: below /opt/ml/processing."""
    with pytest.raises(ClientError, match="LocalPath"):
        aws.processing(aws.name("prep"), ProcessingInputs=given(f"s3://{BUCKET}/in1/", path))
