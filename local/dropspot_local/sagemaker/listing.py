"""List operations: filters, order and pages over the records of one kind."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.state import Record

DEFAULT_PAGE = 100


@dataclass(frozen=True, slots=True)
class Listing:
    """How one List operation reads its records."""

    result: str  # the member of the response that holds the summaries
    name: str  # the field with the resource's name
    status: str | None  # the field with its status, where it has one
    fields: tuple[str, ...]  # of a summary
    filters: tuple[str, ...] = ()  # request members that must equal the record's field of the same name


LISTINGS = {
    "ListProcessingJobs": Listing(
        "ProcessingJobSummaries",
        "ProcessingJobName",
        "ProcessingJobStatus",
        (
            "ProcessingJobName",
            "ProcessingJobArn",
            "CreationTime",
            "ProcessingEndTime",
            "LastModifiedTime",
            "ProcessingJobStatus",
            "FailureReason",
            "ExitMessage",
        ),
    ),
    "ListTrainingJobs": Listing(
        "TrainingJobSummaries",
        "TrainingJobName",
        "TrainingJobStatus",
        (
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
            "SecondaryStatus",
        ),
    ),
    "ListHyperParameterTuningJobs": Listing(
        "HyperParameterTuningJobSummaries",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
        (
            "HyperParameterTuningJobName",
            "HyperParameterTuningJobArn",
            "HyperParameterTuningJobStatus",
            "Strategy",
            "CreationTime",
            "HyperParameterTuningEndTime",
            "LastModifiedTime",
            "TrainingJobStatusCounters",
            "ObjectiveStatusCounters",
            "ResourceLimits",
        ),
    ),
    "ListTrainingJobsForHyperParameterTuningJob": Listing(
        "TrainingJobSummaries",
        "TrainingJobName",
        "TrainingJobStatus",
        (
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingStartTime",
            "TrainingEndTime",
            "TrainingJobStatus",
            "TunedHyperParameters",
            "FailureReason",
            "FinalHyperParameterTuningJobObjectiveMetric",
            "ObjectiveStatus",
        ),
    ),
    "ListTransformJobs": Listing(
        "TransformJobSummaries",
        "TransformJobName",
        "TransformJobStatus",
        (
            "TransformJobName",
            "TransformJobArn",
            "CreationTime",
            "TransformEndTime",
            "LastModifiedTime",
            "TransformJobStatus",
            "FailureReason",
        ),
    ),
    "ListModelPackageGroups": Listing(
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
        None,
        (
            "ModelPackageGroupName",
            "ModelPackageGroupArn",
            "ModelPackageGroupDescription",
            "CreationTime",
            "ModelPackageGroupStatus",
        ),
    ),
    "ListModelPackages": Listing(
        "ModelPackageSummaryList",
        "ModelPackageName",
        None,
        (
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
            "ModelLifeCycle",
        ),
    ),
    "ListModels": Listing("Models", "ModelName", None, ("ModelName", "ModelArn", "CreationTime")),
    "ListEndpointConfigs": Listing(
        "EndpointConfigs", "EndpointConfigName", None, ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    ),
    "ListEndpoints": Listing(
        "Endpoints",
        "EndpointName",
        "EndpointStatus",
        ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    ),
}
_HANDLED = {
    "NextToken",
    "MaxResults",
    "SortBy",
    "SortOrder",
    "NameContains",
    "StatusEquals",
    "CreationTimeAfter",
    "CreationTimeBefore",
    "LastModifiedTimeAfter",
    "LastModifiedTimeBefore",
}


def answer(listing: Listing, records: Iterable[Record], request: Mapping[str, Any]) -> dict[str, Any]:
    """The response to a List request over all records of its kind."""
    unknown = set(request) - _HANDLED
    if unknown:
        raise validation(f"The embedded cloud doesn't support the filter {sorted(unknown)[0]}.")
    found = [record for record in records if _matches(listing, record, request)]
    keys = {
        "Name": listing.name,
        "Status": listing.status or listing.name,
        "CreationTime": "CreationTime",
        "LastModifiedTime": "LastModifiedTime",
    }
    by = request.get("SortBy", "CreationTime")
    found.sort(
        key=lambda record: record[keys.get(by, by)],
        reverse=request.get("SortOrder", "Descending") == "Descending",
    )
    first = _offset(request.get("NextToken"))
    last = first + request.get("MaxResults", DEFAULT_PAGE)
    summaries = [{field: record[field] for field in listing.fields if field in record} for record in found[first:last]]
    page: dict[str, Any] = {listing.result: summaries}
    if last < len(found):
        page["NextToken"] = base64.b64encode(str(last).encode()).decode()
    return page


def _matches(listing: Listing, record: Record, request: Mapping[str, Any]) -> bool:
    modified = record.get("LastModifiedTime", record["CreationTime"])
    return (
        request.get("NameContains", "").lower() in record[listing.name].lower()
        and (listing.status is None or request.get("StatusEquals", record[listing.status]) == record[listing.status])
        and request.get("CreationTimeAfter", 0)
        <= record["CreationTime"]
        <= request.get("CreationTimeBefore", float("inf"))
        and request.get("LastModifiedTimeAfter", 0) <= modified <= request.get("LastModifiedTimeBefore", float("inf"))
    )


def _offset(token: str | None) -> int:
    try:
        return int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError:
        raise validation("Invalid pagination token.") from None
