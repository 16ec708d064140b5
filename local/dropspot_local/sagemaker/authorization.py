"""What callers and roles may do.

ministack checks the policies of every service that it has; SageMaker isn't among them. So the plug-in asks its
evaluator: for the operation on the resource that it names, for passing on a role, and for tagging on creation.
"""

# ruff: noqa: SLF001 - hooks.NEEDED lists the names of ministack that are private

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.core.iam_evaluator import AuthError, enforce
from ministack.services import iam, sts

from dropspot_local.sagemaker.errors import ServiceError, validation
from dropspot_local.sagemaker.state import Record, Site

SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
_KINDS = {
    "ProcessingJob": "processing-job",
    "TrainingJob": "training-job",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "TransformJob": "transform-job",
    "Model": "model",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "ModelPackageGroup": "model-package-group",
}
_ALSO_CONFIG = ("CreateEndpoint", "UpdateEndpoint")
"""Operations that are authorised for the endpoint configuration as well as for the endpoint."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    access_key: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of a session."""

    access_key: str
    secret_key: str
    session_token: str | None


ADMINISTRATOR = Credentials("test", "test", None)
"""The account's root user."""


def authorize(site: Site, caller: Caller, operation: str, request: Record) -> None:
    """Raise AccessDeniedException unless the caller's policies allow the operation and all that it entails."""
    for action, resource, context in _needed(site, operation, request):
        _enforce(site, caller, action, resource, context)


def authorize_invocation(site: Site, caller: Caller, operation: str, endpoint: str) -> None:
    """Raise AccessDeniedException unless the caller may invoke the endpoint by this operation."""
    _enforce(site, caller, f"sagemaker:{operation}", site.arn("endpoint", endpoint), {})


def authorize_scaling(site: Site, caller: Caller, operation: str, namespace: str) -> None:
    """Raise AccessDeniedException unless the caller may call this operation of Application Auto Scaling."""
    service = "application-autoscaling"
    resource = (
        "*" if operation.startswith("Describe") else f"arn:aws:{service}:{site.region}:{site.account}:scalable-target/*"
    )
    _enforce(site, caller, f"{service}:{operation}", resource, {f"{service}:service-namespace": namespace})


def check_role(arn: str) -> None:
    """Refuse a role that doesn't exist or that SageMaker isn't trusted with."""
    role = iam._roles.get(arn.rsplit("/", 1)[-1])
    document = role["AssumeRolePolicyDocument"] if role else "{}"
    document = json.loads(document) if isinstance(document, str) else document
    for statement in _listed(document.get("Statement", [])):
        principal = statement.get("Principal", {})
        services = _listed(principal.get("Service", [])) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow" and SERVICE_PRINCIPAL in services:
            return
    raise validation(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal '{SERVICE_PRINCIPAL}' "
        "to assume the role."
    )


def check_role_may_describe(site: Site, role: str, alarm: str) -> None:
    """Refuse a role that may not look at a CloudWatch alarm: guardrails watch alarms under it."""
    arn = f"arn:aws:cloudwatch:{site.region}:{site.account}:alarm:{alarm}"
    session = Caller(role_session(site, role, "guardrails").access_key)
    try:
        _enforce(site, session, "cloudwatch:DescribeAlarms", arn, {})
    except ServiceError as error:
        raise validation(f"The execution role {role} can't watch the alarm {alarm}. {error.message}") from None


def _listed(value: Any) -> list[Any]:
    """Policies may leave out the brackets of a list with one element."""
    return value if isinstance(value, list) else [value]


def role_session(site: Site, arn: str, session: str) -> Credentials:
    """Keys with which the service acts under a role, so that its policies hold for what a job reads and writes."""
    name = arn.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"{arn}:{session}".encode()).hexdigest()
    credentials = Credentials(f"ASIA{digest[:16].upper()}", digest[16:56], digest[56:])
    sts.register_session(
        credentials.access_key,
        {
            "Arn": f"arn:aws:sts::{site.account}:assumed-role/{name}/{session[:64]}",
            "UserId": f"{name}:{session[:64]}",
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.session_token,
        },
    )
    return credentials


def _needed(site: Site, operation: str, request: Record) -> Iterator[tuple[str, str, dict[str, str]]]:
    action = f"sagemaker:{operation}"
    resource = _resource(site, operation, request)
    yield action, resource, {}
    if operation in _ALSO_CONFIG and "EndpointConfigName" in request:
        yield action, site.arn("endpoint-config", request["EndpointConfigName"]), {}
    if operation == "CreateModelPackage" and "ModelPackageGroupName" in request:
        group = str(request["ModelPackageGroupName"]).rpartition("/")[2]
        yield action, site.arn("model-package-group", group), {}
    if operation.startswith("Create") and request.get("Tags"):
        yield "sagemaker:AddTags", resource, {}
    definition = request.get("TrainingJobDefinition", {})
    for role in (request.get("RoleArn"), request.get("ExecutionRoleArn"), definition.get("RoleArn")):
        if role:
            yield "iam:PassRole", role, {"iam:PassedToService": SERVICE_PRINCIPAL}


def _resource(site: Site, operation: str, request: Record) -> str:
    if "ResourceArn" in request:
        return str(request["ResourceArn"])
    if operation.endswith("ModelPackage"):
        return _model_package(site, request)
    for noun, kind in _KINDS.items():
        if operation.endswith(noun) and f"{noun}Name" in request:
            return site.arn(kind, str(request[f"{noun}Name"]).rpartition("/")[2])
    return "*"


def _model_package(site: Site, request: Record) -> str:
    """The package that is named; a new one by its group, since it has no version yet."""
    name = str(
        request.get("ModelPackageArn")
        or request.get("ModelPackageName")
        or f"{str(request.get('ModelPackageGroupName', '')).rpartition('/')[2]}/*"
    )
    return name if name.startswith("arn:") else site.arn("model-package", name)


def _enforce(site: Site, caller: Caller, action: str, resource: str, context: dict[str, str]) -> None:
    denied = enforce(
        caller.access_key, action, "sagemaker", site.region, resource_arn=resource, service_context=context
    )
    if denied is None:
        return
    if isinstance(denied, AuthError):
        raise ServiceError(denied.code, denied.message, status=403)
    reason = (
        "with an explicit deny in an identity-based policy"
        if denied.decision == "Deny"
        else f"because no identity-based policy allows the {action} action"
    )
    raise ServiceError(
        "AccessDeniedException",
        f"User: {denied.principal_arn} is not authorized to perform: {action} on resource: {resource} {reason}",
    )
