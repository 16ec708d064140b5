"""InvokeEndpoint: the REST call that asks a served model."""

from __future__ import annotations

import time
from urllib.parse import unquote

from dropspot_local.sagemaker import endpoint_metrics
from dropspot_local.sagemaker.endpoints import Endpoints
from dropspot_local.sagemaker.errors import Response, ServiceError
from dropspot_local.sagemaker.fleet import Fleet
from dropspot_local.sagemaker.serving import CUSTOM_ATTRIBUTES, Answer, InvocationTimeoutError

LARGEST_BODY = 6_291_456
INVOCATION_SECONDS = 60
_OPERATIONS = {"invocations": "InvokeEndpoint", "async-invocations": "InvokeEndpointAsync"}
_REFUSED = (
    "x-amzn-sagemaker-target-model",
    "x-amzn-sagemaker-target-container-hostname",
    "x-amzn-sagemaker-inference-component",
    "x-amzn-sagemaker-session-id",
    "x-amzn-sagemaker-enable-explanations",
)


def invocation(method: str, path: str) -> tuple[str, str] | None:
    """The operation and the endpoint that a request asks, None unless it is one of the runtime's."""
    parts = path.strip("/").split("/")
    if method == "POST" and len(parts) == 3 and parts[0] == "endpoints" and parts[2] in _OPERATIONS:
        return _OPERATIONS[parts[2]], unquote(parts[1])
    return None


def invoke(endpoints: Endpoints, account: str, name: str, headers: dict[str, str], body: bytes) -> Response:
    """Ask the endpoint. `headers` have lower-case names."""
    for header in _REFUSED:
        if header in headers:
            raise ServiceError("ValidationError", f"The embedded cloud doesn't support the header {header}.")
    if len(body) > LARGEST_BODY:
        raise ServiceError("", f"HTTP content length exceeded {LARGEST_BODY} bytes.", status=413)
    passed = {
        "Content-Type": headers.get("content-type", "application/octet-stream"),
        "Accept": headers.get("x-amzn-sagemaker-accept") or headers.get("accept") or "*/*",
    }
    for header in ("x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id"):
        if header in headers:
            passed[header] = headers[header]

    target = headers.get("x-amzn-sagemaker-target-variant")
    with endpoints.serving(name, target) as fleet:
        if fleet is None:
            raise ServiceError("ValidationError", f"Endpoint {name} of account {account} not found.")
        if "AsyncInferenceConfig" in fleet.config:
            raise ServiceError(
                "ValidationError", f"Endpoint {name} of account {account} is asynchronous: call InvokeEndpointAsync."
            )
        variant = target or fleet.choose()
        if variant not in fleet.servers:
            raise ServiceError(
                "ValidationError", f"Variant {variant} not found for endpoint {name} of account {account}."
            )
        answer = _asked(fleet, name, variant, body, passed)
    if answer is None:
        raise _model_error(
            name,
            account,
            0,
            "Your invocation timed out while waiting for a response from container primary. Review the latency "
            "metrics for each container in Amazon CloudWatch, resolve the issue, and try again.",
        )
    if answer.status != 200:
        raise _model_error(name, account, answer.status, answer.body.decode("utf-8", "replace"))
    told = {"Content-Type": answer.content_type, "x-Amzn-Invoked-Production-Variant": variant}
    if answer.attributes:
        told[CUSTOM_ATTRIBUTES] = answer.attributes
    return 200, told, answer.body


def _asked(fleet: Fleet, name: str, variant: str, body: bytes, headers: dict[str, str]) -> Answer | None:
    """The container's answer, None where it gave none in time; either way the endpoint's metrics tell of it."""
    begun = time.monotonic()
    try:
        answer = fleet.servers[variant].invoke(body, headers, INVOCATION_SECONDS)
    except InvocationTimeoutError:
        answer = None
    seconds = time.monotonic() - begun
    endpoint_metrics.record(name, fleet.config, variant, answer.status if answer else 0, seconds)
    return answer


def _model_error(name: str, account: str, status: int, message: str) -> ServiceError:
    side = "client" if 400 <= status < 500 else "server"
    return ServiceError(
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{message}". See the log group '
        f"/aws/sagemaker/Endpoints/{name} in account {account} for more information.",
        status=424,
        fields={
            "OriginalStatusCode": status,
            "OriginalMessage": message,
            "LogStreamArn": f"arn:aws:logs:us-east-1:{account}:log-group:/aws/sagemaker/Endpoints/{name}",
        },
    )
