"""What ministack's CloudFormation lacks and the template relies on.

Dropped properties are put back after create and update; SageMaker's model package groups become a resource type. What
is dropped beyond these has no effect on this machine and is left out: a bucket's lifecycle rules.
"""

# ruff: noqa: SLF001 - hooks reach into ministack by design; hooks.NEEDED lists the names

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Operate = Callable[[str, Properties], Properties]
Finish = Callable[[str, Properties], None]


def restore_dropped_properties() -> None:
    """Wrap the handlers of the resource types concerned."""
    for resource_type, finish in (
        ("AWS::Lambda::Function", _reserve_concurrency),
        ("AWS::Lambda::EventSourceMapping", _finish_mapping),
    ):
        handlers = provisioners._RESOURCE_HANDLERS[resource_type]
        handlers["create"] = _finished_create(handlers["create"], finish)
        handlers["update"] = _finished_update(handlers["update"], finish)


def _finished_create(create: Callable[..., Any], finish: Finish) -> Callable[..., Any]:
    def created(logical_id: str, properties: Properties, stack_name: str) -> Any:
        result = create(logical_id, properties, stack_name)
        finish(result[0], properties)
        return result

    return created


def _finished_update(update: Callable[..., Any], finish: Finish) -> Callable[..., Any]:
    def updated(physical_id: str, old: Properties, new: Properties, *rest: Any, **named: Any) -> Any:
        result = update(physical_id, old, new, *rest, **named)
        finish(result[0], new)
        return result

    return updated


def _reserve_concurrency(function_name: str, properties: Properties) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is None:
        lambda_svc._delete_function_concurrency(function_name)
    else:
        lambda_svc._put_function_concurrency(function_name, {"ReservedConcurrentExecutions": int(reserved)})


def _finish_mapping(mapping_id: str, properties: Properties) -> None:
    changes: Properties = {"Enabled": str(properties.get("Enabled", True)).lower() != "false"}
    scaling = properties.get("ScalingConfig")
    if scaling:
        # A number parameter arrives as a text, which the poller then can't compare.
        changes["ScalingConfig"] = {name: int(value) for name, value in scaling.items()}
    lambda_svc._update_esm(mapping_id, changes)


def provide_model_package_groups(sagemaker: Operate) -> None:
    """Register AWS::SageMaker::ModelPackageGroup; `sagemaker` carries out an operation of the control plane."""

    def request(properties: Properties) -> Properties:
        known = {"ModelPackageGroupName", "ModelPackageGroupDescription", "Tags"}
        if unknown := sorted(properties.keys() - known):
            raise ValueError(f"AWS::SageMaker::ModelPackageGroup {unknown[0]} is not supported by the embedded cloud.")
        return dict(properties)

    def create(_logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, Properties]:
        sagemaker("CreateModelPackageGroup", request(properties))
        return attributes(properties["ModelPackageGroupName"])

    def attributes(name: str) -> tuple[str, Properties]:
        group = sagemaker("DescribeModelPackageGroup", {"ModelPackageGroupName": name})
        names = ("ModelPackageGroupArn", "ModelPackageGroupStatus", "CreationTime")
        return group["ModelPackageGroupArn"], {field: str(group[field]) for field in names}

    def update(physical_id: str, old: Properties, new: Properties, _stack_name: str) -> tuple[str, Properties]:
        request(new)
        name = new["ModelPackageGroupName"]
        if name != old["ModelPackageGroupName"]:
            return create("", new, "")  # another physical id: CloudFormation deletes the old one afterwards
        if new.get("ModelPackageGroupDescription") != old.get("ModelPackageGroupDescription"):
            raise ValueError(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename "
                f"{name} and update the stack again."
            )
        kept = {tag["Key"] for tag in new.get("Tags", [])}
        if gone := [tag["Key"] for tag in old.get("Tags", []) if tag["Key"] not in kept]:
            sagemaker("DeleteTags", {"ResourceArn": physical_id, "TagKeys": gone})
        if new.get("Tags"):
            sagemaker("AddTags", {"ResourceArn": physical_id, "Tags": new["Tags"]})
        return attributes(name)

    def delete(physical_id: str, _properties: Properties) -> None:
        sagemaker("DeleteModelPackageGroup", {"ModelPackageGroupName": physical_id})

    provisioners._RESOURCE_HANDLERS["AWS::SageMaker::ModelPackageGroup"] = {
        "create": create,
        "update": update,
        "delete": delete,
    }
