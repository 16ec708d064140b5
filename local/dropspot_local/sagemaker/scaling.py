"""Application Auto Scaling, as far as an asynchronous endpoint needs it: to no instance while nobody asks, and back.

It is a service of its own on AWS, for many kinds of targets; here its only targets are variants of asynchronous
endpoints, whose instance is a process. Without CloudWatch's metrics between them, the endpoint itself is told how long
it may be idle (a target-tracking policy's ScaleInCooldown) and that a request wakes it (a step-scaling policy).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.session import get_session
from botocore.validate import ParamValidator

from dropspot_local.sagemaker.asynchronous import Capacity
from dropspot_local.sagemaker.authorization import Caller, authorize_scaling
from dropspot_local.sagemaker.endpoints import Endpoints
from dropspot_local.sagemaker.errors import Response, ServiceError
from dropspot_local.sagemaker.state import Record, Site

SERVICE = "application-autoscaling"
_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_KINDS = ("TargetTrackingScaling", "StepScaling")


class Scaling:
    """The operations of one account and region."""

    def __init__(self, site: Site, endpoints: Endpoints) -> None:
        self._site, self._endpoints = site, endpoints
        self._lock = threading.Lock()
        self._targets: dict[str, Record] = {}
        self._policies: dict[tuple[str, str], Record] = {}
        endpoints.on_deleted.append(self._forget)
        self._operations: dict[str, Callable[[Record], Record]] = {
            "RegisterScalableTarget": self._register,
            "DescribeScalableTargets": self._describe_targets,
            "DeregisterScalableTarget": self._deregister,
            "PutScalingPolicy": self._put_policy,
            "DescribeScalingPolicies": self._describe_policies,
        }

    def answer(self, headers: dict[str, str], body: bytes, caller: Caller) -> Response:
        """Answer one request of the service's JSON protocol."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            if operation not in self._operations:
                raise ServiceError("UnknownOperationException", f"The embedded cloud has no operation {operation}.")
            request = json.loads(body or b"{}")
            _check(operation, request)
            authorize_scaling(self._site, caller, operation, request["ServiceNamespace"])
            if request["ServiceNamespace"] != "sagemaker":
                raise _refused("The embedded cloud scales endpoints of SageMaker alone.")
            with self._lock:
                answer = self._operations[operation](request)
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
        except ServiceError as error:
            return error.control_plane_response()

    def _register(self, request: Record) -> Record:
        resource = request["ResourceId"]
        if not (match := _RESOURCE.fullmatch(resource)) or not self._endpoints.is_scalable(*match.groups()):
            raise _refused(f"{resource} is no variant of an asynchronous endpoint that is in service.")
        if "SuspendedState" in request:
            raise _refused("The embedded cloud doesn't support RegisterScalableTarget's SuspendedState.")
        target = self._targets.get(resource, {"CreationTime": time.time()}) | request | {"RoleARN": self._role}
        if missing := [name for name in ("MinCapacity", "MaxCapacity") if name not in target]:
            raise _refused(f"{missing[0]} is needed to register a new scalable target.")
        if target["MinCapacity"] > target["MaxCapacity"]:
            raise _refused("Maximum capacity cannot be less than minimum capacity.")
        self._targets[resource] = target
        self._tell(resource)
        return {"ScalableTargetARN": self._arn("scalable-target", resource)}

    @property
    def _role(self) -> str:
        name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        return f"arn:aws:iam::{self._site.account}:role/aws-service-role/sagemaker.{SERVICE}.amazonaws.com/{name}"

    def _describe_targets(self, request: Record) -> Record:
        wanted = request.get("ResourceIds")
        return {"ScalableTargets": [t for r, t in self._targets.items() if wanted is None or r in wanted]}

    def _deregister(self, request: Record) -> Record:
        if self._targets.pop(request["ResourceId"], None) is None:
            raise ServiceError("ObjectNotFoundException", f"No scalable target {request['ResourceId']}.")
        self._policies = {key: one for key, one in self._policies.items() if key[0] != request["ResourceId"]}
        self._tell(request["ResourceId"])
        return {}

    def _forget(self, endpoint: str) -> None:
        """Let the targets go of an endpoint that was deleted, as the service does."""
        prefix = f"endpoint/{endpoint}/"
        with self._lock:
            self._targets = {key: one for key, one in self._targets.items() if not key.startswith(prefix)}
            self._policies = {key: one for key, one in self._policies.items() if not key[0].startswith(prefix)}

    def _put_policy(self, request: Record) -> Record:
        resource, name = request["ResourceId"], request["PolicyName"]
        if resource not in self._targets:
            raise ServiceError("ObjectNotFoundException", f"No scalable target {resource}.")
        if request.get("PolicyType") not in _KINDS:
            raise _refused(f"The embedded cloud knows no policies of type {request.get('PolicyType')}.")
        arn = self._arn("scalingPolicy", f"{resource}:policyName/{name}")
        self._policies[resource, name] = request | {"PolicyARN": arn, "CreationTime": time.time()}
        self._tell(resource)
        return {"PolicyARN": arn, "Alarms": []}

    def _describe_policies(self, request: Record) -> Record:
        resource, names = request.get("ResourceId"), request.get("PolicyNames")
        return {
            "ScalingPolicies": [
                policy
                for (of, name), policy in self._policies.items()
                if resource in (None, of) and (names is None or name in names)
            ]
        }

    def _tell(self, resource: str) -> None:
        match = _RESOURCE.fullmatch(resource)
        target = self._targets.get(resource)
        if match is None:
            return
        if target is None:
            self._endpoints.scale(match[1], None)
            return
        policies = [policy for (of, _), policy in self._policies.items() if of == resource]
        cooldowns = [
            policy["TargetTrackingScalingPolicyConfiguration"].get("ScaleInCooldown", 300)
            for policy in policies
            if policy["PolicyType"] == "TargetTrackingScaling"
        ]
        wakes = any(policy["PolicyType"] == "StepScaling" for policy in policies)
        self._endpoints.scale(match[1], Capacity(target["MinCapacity"], min(cooldowns, default=None), wakes))

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:{SERVICE}:{self._site.region}:{self._site.account}:{kind}/{name}"


def _check(operation: str, request: Any) -> None:
    shape = get_session().get_service_model(SERVICE).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise _refused(report.generate_report())


def _refused(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
