"""The details of state-change events, kind by kind, as the EventBridge pages of SageMaker's guide show them."""

from __future__ import annotations

import pytest

from dropspot_local.sagemaker import events

TIMES = {"CreationTime": 1700000000.5, "LastModifiedTime": 1700000001.25}


def test_a_processing_job_speaks_in_upper_case_and_numbers():
    record = {
        "ProcessingJobName": "p",
        "ProcessingJobArn": "arn",
        "ProcessingJobStatus": "Completed",
        "ProcessingInputs": [{"S3Input": {"S3Uri": "s3://b/Key", "S3DataDistributionType": "FullyReplicated"}}],
        "ExitMessage": "not in the event",
        "ProcessingEndTime": 1700000001.0,
        **TIMES,
    }
    detail = events.processing_detail(record)
    assert detail == {
        "ProcessingJobName": "p",
        "ProcessingJobArn": "arn",
        "ProcessingJobStatus": "Completed",
        "ProcessingInputs": [{"S3Input": {"S3Uri": "s3://b/Key", "S3DataDistributionType": "FULLYREPLICATED"}}],
        "ProcessingEndTime": 1700000001000,
        "CreationTime": 1700000000500,
        "LastModifiedTime": 1700000001250,
    }


def test_a_training_job_gives_its_times_as_strings():
    record = {
        "TrainingJobName": "t",
        "TrainingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: no",
        "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": 1700000000.0, "StatusMessage": "m"}],
        "ModelArtifacts": {"S3ModelArtifacts": "not in the event"},
        "TrainingStartTime": 1700000000.0,
        **TIMES,
    }
    detail = events.training_detail(record)
    assert detail["TrainingStartTime"] == "1700000000000"
    assert detail["CreationTime"] == "1700000000500"
    assert detail["SecondaryStatusTransitions"] == [
        {"Status": "Starting", "StartTime": 1700000000000, "StatusMessage": "m"}
    ]
    assert detail["FailureReason"] == "AlgorithmError: no"
    assert "ModelArtifacts" not in detail


@pytest.mark.parametrize(
    ("status", "spoken"),
    [
        ("Creating", "CREATING"),
        ("InService", "IN_SERVICE"),
        ("RollingBack", "ROLLING_BACK"),
        ("SystemUpdating", "SYSTEM_UPDATING"),
        ("OutOfService", "OUT_OF_SERVICE"),
        ("UpdateRollbackFailed", "UPDATE_ROLLBACK_FAILED"),
    ],
)
def test_an_endpoints_status_is_upper_snake(status, spoken):
    record = {"EndpointName": "e", "EndpointStatus": status, **TIMES}
    assert events.endpoint_detail(record)["EndpointStatus"] == spoken
