"""Batch transform jobs as `CreateTransformJob` documents them."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError

BUCKET = "contract-bucket"


def start(aws, model: str, prefix: str, **changes: object) -> str:
    name = aws.name("eval")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}}
    request = {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": source, "ContentType": "application/x-image"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/raw/{name}/", "Accept": "application/json"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    aws["sagemaker"].create_transform_job(**(request | changes))
    return name


def ended(aws, name: str) -> dict[str, object]:
    return aws.ended("describe_transform_job", "TransformJobStatus", TransformJobName=name)


@pytest.fixture(scope="module")
def model(aws) -> str:
    return aws.model(aws.name("model"), environment={"NAME": "served"})


def test_every_object_below_the_prefix_gets_one_output(aws, model, events):
    """CreateTransformJob, TransformOutput: <input>.out for each input."""
    aws.put("pictures/one.jpg", b"12345")
    aws.put("pictures/a b/tw+o.jpg", b"123")
    name = start(aws, model, "pictures/")
    job = ended(aws, name)
    assert job["TransformJobStatus"] == "Completed"
    assert aws.keys(f"raw/{name}/") == ["a b/tw+o.jpg.out", "one.jpg.out"]
    said = json.loads(aws.get(f"raw/{name}/one.jpg.out"))
    assert said == {"name": "served", "bytes": 5, "type": "application/x-image", "accept": "application/json"}
    last = events()[-1]
    assert last["detail-type"] == "SageMaker Transform Job State Change"
    assert (last["detail"]["TransformJobName"], last["detail"]["TransformJobStatus"]) == (name, "Completed")


def manifest(aws, key: str, prefix: str, *names: str) -> dict[str, object]:
    aws.put(key, json.dumps([{"prefix": f"s3://{BUCKET}/{prefix}"}, *names]).encode())
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/{key}"}}
    return {"TransformInput": {"DataSource": source, "ContentType": "application/x-image"}}


def test_a_manifest_names_the_inputs_and_their_outputs_lie_as_it_names_them(aws, model):
    """TransformS3DataSource: a ManifestFile has a prefix and the keys below it."""
    odd = 'a b/été+100%"\n.jpg'
    for name in ("listed.jpg", odd, "not listed.jpg"):
        aws.put(f"photos/{name}", b"12345")
    name = start(aws, model, "", **manifest(aws, "lists/one.json", "photos/", "listed.jpg", odd))
    assert ended(aws, name)["TransformJobStatus"] == "Completed"
    assert aws.keys(f"raw/{name}/") == [f"{odd}.out", "listed.jpg.out"]


def test_a_listed_object_that_is_gone_fails_the_job_and_the_others_keep_their_outputs(aws, model):
    """TransformS3DataSource: every object that a ManifestFile names must be there."""
    aws.put("photos/there.jpg", b"12345")
    name = start(aws, model, "", **manifest(aws, "lists/two.json", "photos/", "gone.jpg", "there.jpg"))
    assert ended(aws, name)["TransformJobStatus"] == "Failed"
    assert aws.keys(f"raw/{name}/") == ["there.jpg.out"]


def test_a_manifest_that_is_none_fails_the_job(aws, model):
    """TransformS3DataSource: a ManifestFile is a JSON list whose first entry is the prefix."""
    aws.put("lists/none.json", b"[]")
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/lists/none.json"}}
    name = start(aws, model, "", TransformInput={"DataSource": source})
    assert "must be a JSON array of a prefix" in str(ended(aws, name)["FailureReason"])


def test_an_input_that_is_refused_fails_the_job_and_is_named_in_the_data_log(aws, model):
    """DescribeTransformJob, FailureReason: see the job's logs, where the input is named."""
    aws.put("refused/bad.jpg", b"status 400")
    name = start(aws, model, "refused/")
    job = ended(aws, name)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    lines = aws.log("/aws/sagemaker/TransformJobs", f"{name}/algo-1-")
    assert any(f"{BUCKET}/refused/bad.jpg: Bad HTTP status received from algorithm: 400" in line for line in lines)


def test_a_server_error_is_tried_again_before_the_job_fails(aws, model):
    """ModelClientConfig, InvocationsMaxRetries."""
    aws.put("broken/bad.jpg", b"status 500")
    name = start(aws, model, "broken/", ModelClientConfig={"InvocationsMaxRetries": 2})
    assert ended(aws, name)["FailureReason"] == "AlgorithmError: See job logs for more information"
    lines = aws.log("/aws/sagemaker/TransformJobs", f"{name}/algo-1-")
    assert sum("Bad HTTP status received from algorithm: 500" in line for line in lines) == 3


def test_an_object_over_the_payload_limit_fails_the_job(aws, model):
    """CreateTransformJob, MaxPayloadInMB."""
    aws.put("large/a.jpg", b"x" * (1024**2 + 1))
    job = ended(aws, start(aws, model, "large/", MaxPayloadInMB=1))
    assert "Too much data for max payload size" in job["FailureReason"]


@pytest.mark.parametrize("limits", [{"MaxPayloadInMB": 101}, {"MaxPayloadInMB": 26, "MaxConcurrentTransforms": 4}])
def test_payloads_of_more_than_100_mb_at_once_are_refused(aws, model, limits):
    """CreateTransformJob, MaxPayloadInMB: neither it nor its product with MaxConcurrentTransforms exceeds 100 MB."""
    with pytest.raises(ClientError, match="more than the 100 MB") as refused:
        start(aws, model, "pictures/", **limits)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    aws.put("pictures/one.jpg", b"12345")
    name = start(aws, model, "pictures/", MaxPayloadInMB=25, MaxConcurrentTransforms=4)
    assert ended(aws, name)["TransformJobStatus"] == "Completed"


def test_several_instances_give_the_same_results(aws, model):
    """TransformResources, InstanceCount: how many instances share the work; here one process does it."""
    aws.put("pictures/one.jpg", b"12345")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    job = ended(aws, start(aws, model, "pictures/", TransformResources=resources))
    assert (job["TransformJobStatus"], job["TransformResources"]) == ("Completed", resources)


def test_a_container_that_never_gets_healthy_fails_the_job(aws):
    """DescribeTransformJob, FailureReason: the ping health check."""
    model = aws.model(aws.name("model"), environment={"EXIT_AT_START": "yes"})
    aws.put("pictures/one.jpg", b"12345")
    assert "ping health check" in ended(aws, start(aws, model, "pictures/"))["FailureReason"]


def test_a_job_can_be_stopped(aws, model):
    """StopTransformJob."""
    aws.put("slow/a.jpg", b"sleep 1")
    aws.put("slow/b.jpg", b"sleep 1")
    aws.put("slow/c.jpg", b"sleep 1")
    name = start(aws, model, "slow/")
    time.sleep(1)
    aws["sagemaker"].stop_transform_job(TransformJobName=name)
    assert ended(aws, name)["TransformJobStatus"] == "Stopped"
    assert len(aws.keys(f"raw/{name}/")) < 3


def test_a_missing_model_is_refused(aws):
    """CreateTransformJob, ModelName: a model that exists."""
    with pytest.raises(ClientError, match='Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/none"'):
        start(aws, "none", "pictures/")
