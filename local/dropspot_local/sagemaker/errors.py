"""How SageMaker refuses a call."""

from __future__ import annotations

import json
from typing import Any

Response = tuple[int, dict[str, str], bytes]


class ServiceError(Exception):
    """A refused call: error code, message and HTTP status as the service sends them."""

    def __init__(self, code: str, message: str, *, status: int = 400, fields: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.fields = code, message, status, fields or {}

    def control_plane_response(self) -> Response:
        """The answer in AWS JSON 1.1."""
        body = {"__type": self.code, "message": self.message, **self.fields}
        return self.status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()

    def runtime_response(self) -> Response:
        """The answer in REST JSON, which names the error in a header."""
        headers = {"Content-Type": "application/json"}
        if self.code:
            headers["x-amzn-ErrorType"] = self.code
        return self.status, headers, json.dumps({"Message": self.message, **self.fields}).encode()


def validation(message: str) -> ServiceError:
    """The request cannot be carried out as it stands."""
    return ServiceError("ValidationException", message)


def resource_in_use(message: str) -> ServiceError:
    """The name is taken. SageMaker never frees a job's name."""
    return ServiceError("ResourceInUse", message)


def resource_not_found(message: str) -> ServiceError:
    """The named job doesn't exist."""
    return ServiceError("ResourceNotFound", message)


def not_supported(what: str) -> ServiceError:
    """A parameter that would change the outcome but isn't implemented here: refused rather than ignored."""
    return validation(f"The embedded cloud doesn't support {what}.")
