from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from dropspot import aws
from dropspot_cli.job_logs import TRAINING_JOBS, JobLog

STREAM = "job/algo-1-123"


@pytest.fixture
def logs() -> Iterator[Stubber]:
    aws.client.cache_clear()
    with Stubber(aws.client("logs")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def streams(logs: Stubber, *names: str) -> None:
    logs.add_response(
        "describe_log_streams",
        {"logStreams": [{"logStreamName": name} for name in names]},
        {"logGroupName": TRAINING_JOBS, "logStreamNamePrefix": "job/"},
    )


def events(logs: Stubber, lines: list[str], token: str, asked: str | None = None) -> None:
    expected = {"logGroupName": TRAINING_JOBS, "logStreamName": STREAM, "startFromHead": True}
    logs.add_response(
        "get_log_events",
        {"events": [{"message": line} for line in lines], "nextForwardToken": token},
        expected | ({"nextToken": asked} if asked else {}),
    )


def test_a_log_is_read_to_its_end_and_then_from_there(logs: Stubber) -> None:
    log = JobLog("job")
    streams(logs, STREAM)
    events(logs, ["one", "two"], "t1")
    events(logs, ["three"], "t2", asked="t1")
    events(logs, [], "t2", asked="t2")
    assert list(log.new_lines()) == ["one", "two", "three"]
    streams(logs, STREAM)
    events(logs, ["four"], "t3", asked="t2")
    events(logs, [], "t3", asked="t3")
    assert list(log.new_lines()) == ["four"]


def test_a_job_that_has_logged_nothing_yet_has_no_lines(logs: Stubber) -> None:
    streams(logs)
    assert list(JobLog("job").new_lines()) == []


def test_a_log_group_that_was_never_made_has_no_lines(logs: Stubber) -> None:
    logs.add_client_error("describe_log_streams", "ResourceNotFoundException")
    assert list(JobLog("job").new_lines()) == []
