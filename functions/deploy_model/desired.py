"""What should be in service: the stack's one model, written conditionally so that racing runs agree."""

from typing import Any

from dropspot import documents
from dropspot.endpoint import DESIRED, Deployment
from dropspot.errors import TransientError
from dropspot.ports import ObjectStore, Request
from gate import NOT_SERVED, PASSED, Verdict

_ATTEMPTS = 5


def want(store: ObjectStore, candidate: Deployment, served_dataset: str) -> Verdict | None:
    """Make the candidate what should be in service; return the verdict that keeps it out, None where it is wanted.

    `served_dataset` empty means: the first data set whose run passes the gate, which is the one in the document.
    """
    for _ in range(_ATTEMPTS):
        document, etag = documents.read_with_etag(store, DESIRED)
        present = Deployment.from_document(candidate.run.app, document) if document else None
        objection = objection_to(candidate, present, served_dataset)
        if objection:
            return objection
        if present == candidate or documents.replace(store, DESIRED, candidate.document, etag):
            return None
    raise TransientError(f"write s3://{store.bucket}/{DESIRED}: it changed {_ATTEMPTS} times in between")


def objection_to(candidate: Deployment, present: Deployment | None, served_dataset: str) -> Verdict | None:
    """Return why the candidate can't replace what is wanted at present, None where it can."""
    served = served_dataset or (present.dataset if present else candidate.dataset)
    if candidate.dataset != served:
        return Verdict(NOT_SERVED, f"this stack serves the data set {served}")
    if present and present.created_at > candidate.created_at:
        return Verdict(PASSED, f"not deployed: {present.run.run_id}, a run that began later, is wanted in service")
    return None


def endpoint_config_request(candidate: Deployment, settings: Any, tags: list[dict[str, str]]) -> Request:
    """Return CreateEndpointConfig's arguments. The variant is named for the run: an answer names who gave it."""
    return {
        "EndpointConfigName": candidate.run.endpoint_config,
        "ProductionVariants": [
            {
                "VariantName": candidate.run.run_id,
                "ModelName": candidate.run.model,
                "InitialInstanceCount": settings.endpoint_instance_count,
                "InstanceType": settings.endpoint_instance_type,
                "InitialVariantWeight": 1.0,
            }
        ],
        "Tags": tags,
    }
