"""How a run begins: the data set as it is now, the plan laid over the defaults, and the Processing job."""

from dataclasses import dataclass
from typing import Any

from dropspot import documents
from dropspot.datasets import PLAN_FILE, PREFIX, Listing, dataset_of, prefix_of
from dropspot.errors import InvalidInputError
from dropspot.failures import fail_run
from dropspot.jobs import ensure_started
from dropspot.plan import PlanDefaults, TrainingPlan
from dropspot.plan_fields import stated
from dropspot.ports import JobKind, Request
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import Settings


@dataclass(frozen=True, slots=True)
class PreparationSettings(Settings):
    """What the two functions that begin runs are told."""

    prep_image: str
    prep_instance_type: str
    sagemaker_role_arn: str
    algorithm: str
    plan_defaults: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that has begun, now or before; `refusal` says why it failed at once, and is empty where it did not."""

    run: Run
    refusal: str = ""


def begin_run(services: Services[Any], listing: Listing, attempt: str, cause: str) -> Begun:
    """Begin the run of this content.

    A plan that can't be read fails the run; its id then covers the plan's ETag, so that a mended plan is another run.
    """
    settings: PreparationSettings = services.settings
    try:
        text = _plan_text(services, listing)
        plan = TrainingPlan.parse(text, PlanDefaults.from_document(settings.plan_defaults), settings.algorithm)
    except InvalidInputError as error:
        refused = listing.plan.etag if listing.plan else ""
        run = Run.of(settings.app_name, settings.bucket_name, listing, {"refused": refused}, attempt)
        _record(services, run, listing, attempt, cause)
        fail_run(services, run, "prep", str(error))
        return Begun(run, str(error))
    # What the user states counts in full: a plan whose gate was mended is another run, and trains again.
    identity = {"plan": plan.identity, "stated": stated(text, PLAN_FILE)}
    run = Run.of(settings.app_name, settings.bucket_name, listing, identity, attempt)
    _record(services, run, listing, attempt, cause)
    documents.write_once(services.store, run.key("plan.json"), plan.document)
    request = processing_job_request(run, listing.dataset, settings)
    try:
        ensure_started(services, run, "prep", JobKind.PROCESSING, request)
    except InvalidInputError as error:
        fail_run(services, run, "prep", str(error))
        return Begun(run, str(error))
    return Begun(run)


def refuse_stray(services: Services[Any], key: str) -> None:
    """Say of an object that lies beside the data sets' folders where it belongs, as a run that failed at once."""
    try:
        dataset_of(key)
    except InvalidInputError as error:
        settings: PreparationSettings = services.settings
        stray = Listing(key.removeprefix(PREFIX), ())
        run = Run.of(settings.app_name, settings.bucket_name, stray, {"stray": key})
        _record(services, run, Listing("", ()), attempt="", cause=key)
        fail_run(services, run, "prep", str(error))


def _plan_text(services: Services[Any], listing: Listing) -> bytes:
    return services.store.read(listing.plan.key).body if listing.plan else b"{}"


def _record(services: Services[Any], run: Run, listing: Listing, attempt: str, cause: str) -> None:
    identity = {
        "run_id": run.run_id,
        "dataset": listing.dataset,
        "attempt": attempt,
        "cause": cause,
        "created_at": documents.timestamp(services.now()),
    }
    documents.write(services.store, run.open_marker, identity)
    documents.write_once(services.store, run.key("listing.json"), listing.document)
    documents.write_once(services.store, run.key("run.json"), identity)


def processing_job_request(run: Run, dataset: str, settings: PreparationSettings) -> Request:
    """Return CreateProcessingJob's arguments for the run's preparation."""
    bucket = f"s3://{settings.bucket_name}"

    def source(name: str, uri: str) -> Request:
        s3_input = {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        }
        return {"InputName": name, "S3Input": s3_input}

    def result(name: str) -> Request:
        s3_output = {
            "S3Uri": f"{bucket}/{run.key(name)}",
            "LocalPath": f"/opt/ml/processing/output/{name}",
            "S3UploadMode": "EndOfJob",
        }
        return {"OutputName": name, "S3Output": s3_output}

    return {
        "ProcessingJobName": run.processing_job,
        "RoleArn": settings.sagemaker_role_arn,
        "AppSpecification": {"ImageUri": settings.prep_image},
        "ProcessingInputs": [
            source("dataset", f"{bucket}/{prefix_of(dataset)}"),
            source("plan", f"{bucket}/{run.key('plan.json')}"),
        ],
        "ProcessingOutputConfig": {"Outputs": [result("prepared"), result("report")]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": settings.prep_instance_type, "VolumeSizeInGB": 100}
        },
        # Untrusted pictures are decoded here: the container needs no network and gets none.
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "StoppingCondition": {"MaxRuntimeInSeconds": 21_600},
        "Tags": tags(run, dataset),
    }


def tags(run: Run, dataset: str) -> list[dict[str, str]]:
    """Return the tags of everything that a run creates."""
    allowed = "".join(c if c.isalnum() or c in " _.:/=+-@" else "_" for c in dataset)[:256]
    return [
        {"Key": "dropspot:app", "Value": run.app},
        {"Key": "dropspot:run", "Value": run.run_id},
        {"Key": "dropspot:dataset", "Value": allowed},
    ]
