import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from dropspot import aws
from dropspot.errors import DropspotError, NotFoundError
from dropspot_cli import env_file
from dropspot_cli.project import Project
from dropspot_cli.stack import Stack, Target, exports, find_stack

OUTPUTS = {
    "AppName": "dropspot",
    "BucketName": "data-bucket",
    "EndpointName": "dropspot-endpoint",
    "ApiUrl": "https://abc123.execute-api.us-east-1.amazonaws.com/v1",
}


@pytest.fixture
def formation() -> Iterator[Stubber]:
    aws.client.cache_clear()
    with Stubber(aws.client("cloudformation")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def described(outputs: dict[str, str], status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    items = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    stack = {"StackName": "dropspot", "StackStatus": status, "CreationTime": "2026-01-01T00:00:00Z", "Outputs": items}
    return {"Stacks": [stack]}


def test_a_stack_is_known_by_its_outputs(formation: Stubber) -> None:
    formation.add_response("describe_stacks", described(OUTPUTS), {"StackName": "dropspot"})
    stack = find_stack("dropspot")
    assert (stack.app, stack.bucket, stack.endpoint) == ("dropspot", "data-bucket", "dropspot-endpoint")
    assert stack.api_url == OUTPUTS["ApiUrl"]


@pytest.mark.parametrize(("embedded", "remedy"), [(True, "dropspot up"), (False, "make deploy")])
def test_a_stack_that_is_not_there_says_how_to_deploy_it(formation: Stubber, embedded: bool, remedy: str) -> None:
    formation.add_client_error("describe_stacks", "ValidationError", "Stack with id dropspot does not exist")
    with pytest.raises(NotFoundError, match=f"no stack named dropspot here: deploy it with `{remedy}`"):
        find_stack("dropspot", embedded=embedded)


def test_a_stack_on_its_way_is_said_to_be_so(formation: Stubber) -> None:
    formation.add_response("describe_stacks", described({"AppName": "dropspot"}, "CREATE_IN_PROGRESS"))
    with pytest.raises(NotFoundError, match="is CREATE_IN_PROGRESS and has no output ApiUrl, BucketName, EndpointName"):
        find_stack("dropspot")


def test_the_embedded_clouds_api_is_reached_through_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    stack = Stack("dropspot", OUTPUTS, embedded=True)
    assert stack.api_url == "http://127.0.0.1:4566/restapis/abc123/v1/_user_request_"
    assert exports(stack, {"AWS_REGION": "us-east-1"}) == {
        "AWS_REGION": "us-east-1",
        "DROPSPOT_STACK": "dropspot",
        "DROPSPOT_APP": "dropspot",
        "DROPSPOT_BUCKET": "data-bucket",
        "DROPSPOT_ENDPOINT": "dropspot-endpoint",
        "DROPSPOT_API_URL": "http://127.0.0.1:4566/restapis/abc123/v1/_user_request_",
    }


def test_exports_of_a_cloud_that_is_gone_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPSPOT_STATE", str(tmp_path))
    env_file.write(tmp_path / "env", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})
    before = dict(os.environ)
    with pytest.raises(DropspotError, match="is not running any more: start it with `dropspot up`"):
        Target(Project(tmp_path)).connect()
    assert dict(os.environ) == before


def test_with_aws_a_running_cloud_is_left_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPSPOT_STATE", str(tmp_path))
    env_file.write(tmp_path / "env", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})
    assert not Target(Project(tmp_path), aws=True).enter()
    assert "AWS_ENDPOINT_URL" not in os.environ
