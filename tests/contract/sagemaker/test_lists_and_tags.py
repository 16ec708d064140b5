"""List operations page, filter and sort; tags stick to resources."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def models(aws) -> list[str]:
    return [aws.model(aws.name("listed")) for _ in range(3)]


def test_newest_first_unless_told_otherwise(aws, models):
    """ListTrainingJobs, SortBy and SortOrder: by CreationTime unless told otherwise."""
    listed = aws["sagemaker"].list_models(NameContains="listed")["Models"]
    assert [model["ModelName"] for model in listed] == models[::-1]
    listed = aws["sagemaker"].list_models(NameContains="listed", SortBy="Name", SortOrder="Ascending")["Models"]
    assert [model["ModelName"] for model in listed] == sorted(models)


def test_pages_go_on_by_token(aws, models):
    """ListTrainingJobs, NextToken: a response that is truncated has one."""
    pages = (
        aws["sagemaker"].get_paginator("list_models").paginate(NameContains="listed", PaginationConfig={"PageSize": 2})
    )
    assert [[model["ModelName"] for model in page["Models"]] for page in pages] == [models[:0:-1], models[:1]]


def test_jobs_are_filtered_by_status(aws):
    """ListTrainingJobs, StatusEquals."""
    name = aws.name("failing")
    aws.trained(name, HyperParameters={"exit": "1"})
    for status, found in (("Failed", [name]), ("Completed", [])):
        listed = aws["sagemaker"].list_training_jobs(NameContains=name, StatusEquals=status)["TrainingJobSummaries"]
        assert [job["TrainingJobName"] for job in listed] == found


def test_a_filter_that_is_not_there_is_refused(aws):
    """docs/embedded-cloud.md: a filter that isn't implemented is refused by name."""
    with pytest.raises(ClientError, match="the filter WarmPoolStatusEquals"):
        aws["sagemaker"].list_training_jobs(WarmPoolStatusEquals="InUse")


def test_tags_of_a_creation_can_be_read_changed_and_removed(aws):
    """AddTags; ListTags; DeleteTags: by the resource's ARN."""
    name = aws.name("tagged")
    aws["sagemaker"].create_model(
        ModelName=name,
        PrimaryContainer={"Image": "any"},
        ExecutionRoleArn=aws.role,
        Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "é"}],
    )
    arn = aws["sagemaker"].describe_model(ModelName=name)["ModelArn"]
    aws["sagemaker"].add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    aws["sagemaker"].delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert aws["sagemaker"].list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    with pytest.raises(ClientError, match="Could not find resource"):
        aws["sagemaker"].list_tags(ResourceArn=f"{arn}-not")
