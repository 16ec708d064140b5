"""The stack's end, after all other tests: an update undone, a teardown, and what is left running or lying about."""

import socket
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from deployed import EXTRA_BUCKET, Deployed, emulator_folders, wait_for

pytestmark = pytest.mark.e2e


def intake(deployed: Deployed) -> str:
    """Return the state of the image queue's event source mapping."""
    arn = deployed.outputs["ImageQueueUrl"].rsplit("/", 1)[-1]
    mappings = deployed.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    [mapping] = [found for found in mappings if found["EventSourceArn"].endswith(f":{arn}")]
    return str(mapping["State"])


def test_a_stack_update_closes_the_image_queue_and_a_minute_opens_it(deployed: Deployed, champion: str) -> None:
    assert intake(deployed) == "Enabled"
    deployed.command("up", "--parameter", "ScoreThreshold=0.4", "--parameter", "DetectConcurrency=6")
    wait_for("the image queue to be open again", lambda: intake(deployed) == "Enabled", seconds=90)


def test_teardown_leaves_the_bucket_and_says_so(deployed: Deployed, champion: str) -> None:
    sagemaker, bucket, outputs = deployed.client("sagemaker"), deployed.bucket, deployed.outputs
    said = deployed.command("teardown", "--yes").stdout
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_model_packages()["ModelPackageSummaryList"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    with pytest.raises(ClientError, match="does not exist"):
        deployed.client("cloudformation").describe_stacks(StackName="dropspot")
    assert deployed.client("lambda").list_functions()["Functions"] == []
    assert deployed.client("events").list_rules()["Rules"] == []
    left = {queue.rsplit("/", 1)[-1] for queue in deployed.client("sqs").list_queues().get("QueueUrls", [])}
    assert left <= {"notifications"}, f"queues besides the test's own, {outputs}"
    buckets = {found["Name"] for found in deployed.s3.list_buckets()["Buckets"]}
    assert bucket in buckets
    assert f"s3://{bucket}" in said
    assert deployed.keys("datasets/")  # the user's data is all there
    others = {name for name in buckets if not name.startswith("aws-sam-cli-managed")}
    assert others <= {bucket, EXTRA_BUCKET}


def test_teardown_again_says_that_nothing_is_there(deployed: Deployed) -> None:
    answer = deployed.command("teardown", "--yes", check=False)
    assert answer.returncode == 1
    assert "no stack" in answer.stderr.lower()
    assert "Traceback" not in answer.stderr


def test_down_leaves_nothing_listening_and_nothing_lying_about(deployed: Deployed) -> None:
    port = int(deployed.exports["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
    deployed.command("down")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    marked = str(deployed.state).encode()
    assert [p for p in Path("/proc").glob("[0-9]*/environ") if _mentions(p, marked)] == []
    assert emulator_folders() <= deployed.strays
    assert not deployed.state.exists() or {entry.name for entry in deployed.state.iterdir()} <= {"results"}
    assert "not up" in deployed.command("down").stdout


def _mentions(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except OSError:  # another user's process, or one that has ended meanwhile
        return False
