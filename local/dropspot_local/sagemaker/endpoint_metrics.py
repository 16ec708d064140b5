"""The metrics of invocations, in namespace AWS/SageMaker: "Amazon SageMaker endpoint invocation metrics".

Each is put by endpoint and variant, and by endpoint, variant and endpoint config: the latter is what tells a new fleet
from an old one during a deployment. Times are in microseconds. Errors are 0 or 1 for each invocation, so that their
average is a rate.
"""

from __future__ import annotations

import time

from ministack.services import cloudwatch

from dropspot_local import alarms
from dropspot_local.sagemaker.state import Record

NAMESPACE = "AWS/SageMaker"
KEPT_SECONDS = 900
"""How long points are kept: alarms look back minutes, and a busy endpoint would fill the memory."""


def record(endpoint: str, config: Record, variant: str, status: int, seconds: float) -> None:
    """Note one invocation; `status` is the container's, 0 where it gave none in time."""
    instances = next(v["InitialInstanceCount"] for v in config["ProductionVariants"] if v["VariantName"] == variant)
    values = {
        "Invocations": (1.0, "None"),
        "InvocationsPerInstance": (1.0 / instances, "None"),
        "Invocation4XXErrors": (float(400 <= status < 500), "None"),
        "Invocation5XXErrors": (float(status >= 500 or status == 0), "None"),
        "InvocationModelErrors": (float(not 200 <= status < 300), "None"),
        "ModelLatency": (round(seconds * 1e6), "Microseconds"),
    }
    fleet = {"EndpointName": endpoint, "VariantName": variant}
    now = time.time()
    for dimensions in (fleet, fleet | {"EndpointConfigName": config["EndpointConfigName"]}):
        for name, (value, unit) in values.items():
            cloudwatch.record_metric(NAMESPACE, name, value, unit, dimensions)
            alarms.forget_before(now - KEPT_SECONDS, NAMESPACE, name, dimensions)
