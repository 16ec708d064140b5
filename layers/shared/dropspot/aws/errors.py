"""What a client's errors mean: whose fault they are, told by their codes."""

from typing import cast

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ClientConnectionError

from dropspot.errors import NotFoundError, TransientError

UNANSWERED = (ClientConnectionError, HTTPClientError)  # nobody answered, or not in time

_TRANSIENT = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


def code_of(error: ClientError) -> str:
    """Return the error's code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return the service's own sentence."""
    return str(error.response.get("Error", {}).get("Message", error))


def translated(error: ClientError, attempt: str) -> Exception:
    """Return the error to raise: ours where the code says whose fault it is, the client's own otherwise."""
    code, untouched = code_of(error), cast(Exception, error)
    if code in {"NoSuchKey", "404", "NoSuchBucket"}:
        return NotFoundError(f"{attempt}: {code}")
    if code in _TRANSIENT:
        return TransientError(f"{attempt}: {code}")
    return untouched


def is_missing(error: ClientError) -> bool:
    """Tell whether SageMaker says that a thing isn't there: it has no code of its own for that."""
    words = message_of(error).lower()
    return code_of(error) in {"ResourceNotFound", "ValidationException"} and any(
        said in words for said in ("not find", "not found", "does not exist")
    )
