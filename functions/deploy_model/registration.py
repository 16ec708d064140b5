"""The candidate in the model registry: one version for a run, however often it is registered."""

from collections.abc import Mapping
from typing import Any

from dropspot import documents
from dropspot.plan import AUTOMATIC
from dropspot.ports import APPROVED, PENDING, RUN_ID, Request
from dropspot.runs import Run, digest
from dropspot.services import Services


def ensure_registered(services: Services[Any], run: Run, evaluation: Mapping[str, Any], approval: str) -> str:
    """Register the run's model where it isn't, leave package.json, and return the version's ARN.

    Versions have no names. So the run's document tells first, then the registry, in which a version's description names
    its run; two that register at once share a client token.
    """
    store, key = services.store, run.key("package.json")
    known = documents.read_or_none(store, key)
    if known:
        return str(known["arn"])
    container = documents.read(store, run.key("model.json"))["request"]["PrimaryContainer"]
    request = model_package_request(run, container, evaluation, approval, services.settings.bucket_name)
    group, description = request["ModelPackageGroupName"], request["ModelPackageDescription"]
    arn = services.registry.find(group, description) or services.registry.register(request)
    at = documents.timestamp(services.now())
    documents.write_once(store, key, {"arn": arn, "approval": approval, "registered_at": at})
    return arn


def model_package_request(
    run: Run, container: Request, evaluation: Mapping[str, Any], approval: str, bucket: str
) -> Request:
    """Return CreateModelPackage's arguments: a version of the group that is called like the application.

    `container` is the one that CreateModel was asked for.
    """
    return {
        "ModelPackageGroupName": run.app,
        "ModelPackageDescription": f"The model of run {run.run_id}",
        "ModelApprovalStatus": APPROVED if approval == AUTOMATIC else PENDING,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["image/jpeg", "image/png", "application/x-image"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": f"s3://{bucket}/{run.key('evaluation', 'evaluation.json')}",
                }
            }
        },
        "CustomerMetadataProperties": {
            RUN_ID: run.run_id,
            "map50": f"{evaluation['map50']:.4f}",
            "map50_voc07": f"{evaluation['map50_voc07']:.4f}",
            "held_out_boxes": str(evaluation["boxes"]),
        },
        "ClientToken": digest(run.app, run.run_id)[:32],
    }
