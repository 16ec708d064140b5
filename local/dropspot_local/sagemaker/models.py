"""Models: an image and an artifact under a name."""

from __future__ import annotations

import time

from botocore.exceptions import ClientError

from dropspot_local.sagemaker import staging
from dropspot_local.sagemaker.authorization import check_role, role_session
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.state import Record, Records, Site


def create(site: Site, records: Records, request: Record) -> Record:
    """Keep the model; its artifact must exist already."""
    name = request["ModelName"]
    arn = site.arn("model", name)
    container = request.get("PrimaryContainer")
    if not container or not container.get("Image"):
        raise validation("You must provide at least one container with an Image.")
    if not request.get("ExecutionRoleArn"):
        raise validation("ExecutionRoleArn must be given.")
    check_role(request["ExecutionRoleArn"])
    with records.lock:
        if name in records.models:
            raise validation(f'Cannot create already existing model "{arn}".')
    if url := container.get("ModelDataUrl"):
        _check_artifact(Clients(site, role_session(site, request["ExecutionRoleArn"], name)), url)
    with records.lock:
        if name in records.models:
            raise validation(f'Cannot create already existing model "{arn}".')
        kept = {field: value for field, value in request.items() if field != "Tags"}
        records.models[name] = {**kept, "ModelArn": arn, "CreationTime": time.time()}
    return {"ModelArn": arn}


def find(site: Site, records: Records, name: str) -> Record:
    """The model's record; refused as the service refuses a model that it can't find."""
    with records.lock:
        if name not in records.models:
            raise validation(f'Could not find model "{site.arn("model", name)}".')
        return records.models[name]


def delete(site: Site, records: Records, request: Record) -> Record:
    """Forget the model; endpoints that serve it go on."""
    with records.lock:
        find(site, records, request["ModelName"])
        del records.models[request["ModelName"]]
    return {}


def _check_artifact(clients: Clients, url: str) -> None:
    location = staging.S3Location.parse(url)
    try:
        clients["s3"].head_object(Bucket=location.bucket, Key=location.key)
    except ClientError as error:
        raise validation(
            f"Could not access model data at {url}. Please ensure that the role exists and that its trust relationship "
            'policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also '
            'ensure that the role has "s3:GetObject" permissions and that the object is located in the region.'
        ) from error
