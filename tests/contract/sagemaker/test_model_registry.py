"""Model package groups and their packages: versions, approval, the event of each change, CloudFormation's resource.

Page names in the cases are those of the SageMaker API Reference, unless another document is named.
"""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/fake:1"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://contract-bucket/models/model.tar.gz"}],
    "SupportedContentTypes": ["application/x-image"],
    "SupportedResponseMIMETypes": ["application/json"],
}


@pytest.fixture
def group(aws) -> str:
    name = aws.name("Group")
    aws["sagemaker"].create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="one model")
    return name


def package(aws, group: str, **more: object) -> str:
    request = {"ModelPackageGroupName": group, "InferenceSpecification": SPECIFICATION} | more
    return str(aws["sagemaker"].create_model_package(**request)["ModelPackageArn"])


def package_events(events, group: str) -> list[dict[str, object]]:
    kind = "SageMaker Model Package State Change"
    heard = [event["detail"] for event in events() if event["detail-type"] == kind]
    return [detail for detail in heard if detail["ModelPackageGroupName"] == group]


def test_a_group_numbers_its_packages_and_a_number_is_not_given_twice(aws, group):
    """CreateModelPackage: a versioned package belongs to a group and gets the group's next version number."""
    first, second = package(aws, group), package(aws, group)
    assert (first, second) == tuple(f"{ARN}:model-package/{group.lower()}/{version}" for version in (1, 2))
    aws["sagemaker"].delete_model_package(ModelPackageName=second)
    assert package(aws, group).endswith("/3")
    listed = aws["sagemaker"].list_model_packages(ModelPackageGroupName=group, SortOrder="Ascending")
    assert [item["ModelPackageVersion"] for item in listed["ModelPackageSummaryList"]] == [1, 3]


def test_a_package_waits_for_approval_unless_it_is_said(aws, group):
    """CreateModelPackage, ModelApprovalStatus: PendingManualApproval where a versioned package states none."""
    waiting, approved = package(aws, group), package(aws, group, ModelApprovalStatus="Approved")
    described = aws["sagemaker"].describe_model_package(ModelPackageName=waiting)
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelPackageStatus"] == "Completed"
    assert described["InferenceSpecification"] == SPECIFICATION
    found = aws["sagemaker"].list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [item["ModelPackageArn"] for item in found["ModelPackageSummaryList"]] == [approved]


def test_every_change_sends_an_event_that_names_what_was_updated(aws, group, events):
    """Events that SageMaker sends to EventBridge, model package state change: on creation and on every edit."""
    arn = package(aws, group, CustomerMetadataProperties={"run": "pets-1"})
    aws["sagemaker"].update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="ok")
    aws["sagemaker"].update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"seen": "yes"})
    created, approved, edited = package_events(events, group)
    assert created["ModelApprovalStatus"] == "PendingManualApproval"
    assert "UpdatedModelPackageFields" not in created
    assert approved["UpdatedModelPackageFields"] == ["ModelApprovalStatus", "ApprovalDescription"]
    assert approved["ModelApprovalStatus"] == "Approved"
    assert (approved["ModelPackageVersion"], approved["ModelPackageArn"]) == (1, arn)
    assert str(approved["CreationTime"]).endswith("Z")
    # An unrelated edit of an approved package looks approved as well: only the field list tells them apart.
    assert (edited["ModelApprovalStatus"], edited["UpdatedModelPackageFields"]) == (
        "Approved",
        ["CustomerMetadataProperties"],
    )
    assert edited["CustomerMetadataProperties"] == {"run": "pets-1", "seen": "yes"}


def test_metadata_can_be_removed(aws, group):
    """UpdateModelPackage, CustomerMetadataPropertiesToRemove."""
    arn = package(aws, group, CustomerMetadataProperties={"run": "pets-1", "note": "x"})
    aws["sagemaker"].update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["note"])
    described = aws["sagemaker"].describe_model_package(ModelPackageName=arn)
    assert described["CustomerMetadataProperties"] == {"run": "pets-1"}


def test_a_repeated_client_token_makes_one_package(aws, group):
    """CreateModelPackage, ClientToken: a unique token that guarantees that the call is idempotent."""
    assert package(aws, group, ClientToken="once") == package(aws, group, ClientToken="once")
    assert package(aws, group, ClientToken="twice").endswith("/2")


def test_a_package_takes_its_groups_tags_and_none_of_its_own(aws, group):
    """CreateModelPackage, Tags: with ModelPackageGroupName no tag argument can be supplied."""
    with pytest.raises(ClientError, match="Tags are not supported on a versioned model package"):
        package(aws, group, Tags=[{"Key": "a", "Value": "b"}])


def test_a_group_with_packages_cannot_go(aws, group):
    """DeleteModelPackageGroup: ConflictException while it holds packages."""
    arn = package(aws, group)
    with pytest.raises(ClientError) as refused:
        aws["sagemaker"].delete_model_package_group(ModelPackageGroupName=group)
    assert refused.value.response["Error"]["Code"] == "ConflictException"
    aws["sagemaker"].delete_model_package(ModelPackageName=arn)
    aws["sagemaker"].delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        aws["sagemaker"].describe_model_package_group(ModelPackageGroupName=group)


def test_a_group_is_known_by_name_and_by_arn(aws, group):
    """DescribeModelPackageGroup, ModelPackageGroupName: the name or the ARN."""
    arn = aws["sagemaker"].describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    assert package(aws, arn).endswith(f"{group.lower()}/1")
    with pytest.raises(ClientError, match="Model Package Group already exists"):
        aws["sagemaker"].create_model_package_group(ModelPackageGroupName=group)
    listed = aws["sagemaker"].list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [item["ModelPackageGroupArn"] for item in listed] == [arn]


def test_packages_outside_of_groups_are_refused_by_name(aws):
    """CreateModelPackage, ModelPackageName: without a group it makes an unversioned package, which is not here."""
    with pytest.raises(ClientError, match="doesn't support CreateModelPackage's ModelPackageName"):
        aws["sagemaker"].create_model_package(ModelPackageName="alone", InferenceSpecification=SPECIFICATION)


def test_cloudformation_makes_retags_and_removes_a_group(aws):
    """AWS::SageMaker::ModelPackageGroup: Ref gives the ARN; tags change in place."""
    name, stack = aws.name("stacked"), aws.name("stack")

    def template(value: str) -> str:
        properties = {"ModelPackageGroupName": name, "Tags": [{"Key": "team", "Value": value}]}
        group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}
        return json.dumps({"Resources": {"Group": group}, "Outputs": {"Arn": {"Value": {"Ref": "Group"}}}})

    formation = aws["cloudformation"]
    formation.create_stack(StackName=stack, TemplateBody=template("a"))
    formation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    outputs = formation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    arn = f"{ARN}:model-package-group/{name}"
    assert outputs[0]["OutputValue"] == arn
    formation.update_stack(StackName=stack, TemplateBody=template("b"))
    formation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    assert aws["sagemaker"].list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "b"}]
    formation.delete_stack(StackName=stack)
    formation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="does not exist"):
        aws["sagemaker"].describe_model_package_group(ModelPackageGroupName=name)
