"""Asking the embedded cloud for trouble: what on AWS happens by itself, and a test can't wait for.

    control = Control("http://127.0.0.1:4566")
    control.interrupt("dropspot-pets-0123456789-train", capacity_after=5)  # its spot instance is taken away
    control.throttle("CreateTransformJob", times=2)  # the next two calls are refused: Rate exceeded
    control.exceed_limit("CreateTrainingJob")  # the next call is refused: no instance of that type is left

Nothing of this is in a template: a deployed application can't tell, and can't do it.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from dropspot_local.sagemaker.faults import LIMIT, THROTTLE
from dropspot_local.settings import ADMINISTRATOR_KEY, REGION


class ControlError(RuntimeError):
    """The cloud can't do what was asked."""


class Control:
    """The embedded cloud's own operations, sent as its administrator."""

    def __init__(self, endpoint_url: str) -> None:
        self._address = urlsplit(endpoint_url)

    def interrupt(self, training_job: str, *, capacity_after: float = 0) -> None:
        """Take a training job's spot capacity away while it trains; there is some again after so many seconds."""
        self._send("InterruptTrainingJob", {"TrainingJobName": training_job, "CapacityAfterSeconds": capacity_after})

    def throttle(self, operation: str, *, times: int = 1) -> None:
        """Refuse the next calls of an operation as too many."""
        self._send("RefuseCalls", {"Operation": operation, "Code": THROTTLE, "Times": times})

    def exceed_limit(self, operation: str, *, times: int = 1) -> None:
        """Refuse the next calls of an operation because the account's quota of instances is used up."""
        self._send("RefuseCalls", {"Operation": operation, "Code": LIMIT, "Times": times})

    def _send(self, operation: str, request: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=30)
        scope = f"{ADMINISTRATOR_KEY}/20260101/{REGION}/sagemaker/aws4_request"
        headers = {
            "X-Amz-Target": f"EmbeddedCloud.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00",
        }
        try:
            connection.request("POST", "/", json.dumps(request), headers)
            response = connection.getresponse()
            body = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status >= 400:
            raise ControlError(body.get("message", f"HTTP {response.status}"))
