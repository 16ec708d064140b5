"""What goes wrong on request: refused calls, and spot capacity that is taken away.

The requests come as operations of their own, with the target `EmbeddedCloud.<operation>` where SageMaker's have
`SageMaker.<operation>`, and from the account's root user alone: dropspot_local.control sends them.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Any

from dropspot_local.sagemaker.errors import ServiceError, validation
from dropspot_local.sagemaker.state import Record

THROTTLE, LIMIT = "ThrottlingException", "ResourceLimitExceeded"


class Faults:
    """Calls that shall be refused: the next ones of an operation, in the order that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, deque[str]] = defaultdict(deque)

    def refuse(self, request: Record) -> Record:
        """Refuse the next `Times` calls of `Operation` with `Code`."""
        code = request.get("Code")
        if code not in (THROTTLE, LIMIT):
            raise validation(f"Code is {code}: it must be {THROTTLE} or {LIMIT}.")
        with self._lock:
            self._due[str(request["Operation"])].extend([code] * int(request.get("Times", 1)))
        return {}

    def check(self, operation: str, request: Record) -> None:
        """Raise what is due for this call, in the service's words."""
        with self._lock:
            due = self._due.get(operation)
            code = due.popleft() if due else None
        if code == THROTTLE:
            raise ServiceError(THROTTLE, "Rate exceeded")
        if code == LIMIT:
            kind, count, usage = _wanted(operation, request)
            raise ServiceError(
                LIMIT,
                f"The account-level service limit '{kind} for {usage} usage' is 0 Instances, with current utilization "
                f"of 0 Instances and a request delta of {count} Instances. Please use AWS Service Quotas to request an "
                "increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an "
                "increase for this quota.",
            )


def _wanted(operation: str, request: Record) -> tuple[str, int, str]:
    """Instance type, count and the kind of use that a request asks for."""
    resources: dict[str, Any] = (
        request.get("ResourceConfig")
        or request.get("TrainingJobDefinition", {}).get("ResourceConfig")
        or request.get("TransformResources")
        or request.get("ProcessingResources", {}).get("ClusterConfig")
        or {}
    )
    usage = {"CreateTransformJob": "transform job", "CreateProcessingJob": "processing job"}.get(operation, "")
    usage = usage or ("endpoint" if "Endpoint" in operation else "training job")
    if usage == "training job" and request.get("EnableManagedSpotTraining"):
        usage = "spot training job"
    return resources.get("InstanceType", "ml.m5.large"), resources.get("InstanceCount", 1), usage
