"""One clear sentence for every failure that can be expected; anything else is our mistake and keeps its traceback."""

import os

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from dropspot.errors import DropspotError
from dropspot_local.cloud import CloudError

EXPECTED = (DropspotError, CloudError, BotoCoreError, ClientError, OSError)


def sentence(error: BaseException) -> str | None:
    """Return what to tell the user, or None for an error that nobody expected."""
    told: str | None = None
    match error:
        case DropspotError() | CloudError():
            told = str(error)
        case NoCredentialsError() | PartialCredentialsError():
            told = "AWS credentials are missing: sign in (`aws configure`, `aws sso login`) or set AWS_PROFILE."
        case NoRegionError():
            told = "No AWS region is chosen: set AWS_REGION."
        case EndpointConnectionError():
            told = f"{os.environ.get('AWS_ENDPOINT_URL', 'AWS')} can't be reached: {error}"
        case ClientError():
            said = error.response.get("Error", {})
            told = f"AWS refused {error.operation_name}: {said.get('Code', 'unknown')}: {said.get('Message', '')}"
        case BotoCoreError():
            told = f"Talking to AWS failed: {error}"
        case FileNotFoundError() if error.filename:
            told = f"{error.filename} does not exist."
        case OSError() if error.filename:
            told = f"{error.filename}: {error.strerror}."
    return told
