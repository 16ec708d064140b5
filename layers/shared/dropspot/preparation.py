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
from dropspot.references import list_document, list_key, with_references
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import DataSettings

RETRAINING_REQUESTED = "Retraining Requested"  # the event that asks for a new attempt
_ENVIRONMENT_VALUE = 256  # characters, SageMaker's limit


@dataclass(frozen=True, slots=True)
class PreparationSettings(DataSettings):
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


def begin_run(services: Services[Any], listing: Listing, attempt: str, cause: str, began_at: str = "") -> Begun:
    """Begin the run of this content, to which the pictures belong that its manifests refer to in other places.

    It began at `began_at` (ISO 8601), now where that is empty.

    What can't be read or followed fails the run; its id then covers the plan's ETag and the reason, so that after
    anything was mended it is another run.
    """
    settings: PreparationSettings = services.settings
    began_at = began_at or documents.timestamp(services.now())
    try:
        text = _plan_text(services, listing)
        plan = TrainingPlan.parse(text, PlanDefaults.from_document(settings.plan_defaults), settings.algorithm)
        listing = with_references(services, listing, plan.preparation.layout)
    except InvalidInputError as error:
        refused = [listing.plan.etag if listing.plan else "", str(error)]
        run = Run.of(settings.app_name, settings.bucket_name, listing, {"refused": refused}, attempt)
        _record(services, run, listing, attempt, cause, began_at)
        return _refused(services, run, error)
    # What the user states counts in full: a plan whose gate was mended is another run, and trains again.
    identity = {"plan": plan.identity, "stated": stated(text, PLAN_FILE)}
    run = Run.of(settings.app_name, settings.bucket_name, listing, identity, attempt)
    while services.store.head(run.key("superseded.json")) is not None:
        # The data were changed before this run could train, and have been changed back.
        attempt = f"after {run.run_id}"
        run = Run.of(settings.app_name, settings.bucket_name, listing, identity, attempt)
    _record(services, run, listing, attempt, cause, began_at)
    documents.write_once(services.store, run.key("plan.json"), plan.document)
    for bucket, objects in listing.references.items():
        documents.write_once(services.store, list_key(run, bucket), list_document(bucket, objects))
    try:
        ensure_started(services, run, "prep", JobKind.PROCESSING, processing_job_request(run, listing, settings))
    except InvalidInputError as error:
        return _refused(services, run, error)
    return Begun(run)


def _refused(services: Services[Any], run: Run, error: InvalidInputError) -> Begun:
    fail_run(services, run, "prep", str(error))
    return Begun(run, str(error))


def refuse_stray(services: Services[Any], key: str) -> None:
    """Say of an object that lies beside the data sets' folders where it belongs, as a run that failed at once."""
    try:
        dataset_of(key)
    except InvalidInputError as error:
        settings: PreparationSettings = services.settings
        stray = Listing(key.removeprefix(PREFIX), ())
        run = Run.of(settings.app_name, settings.bucket_name, stray, {"stray": key})
        _record(services, run, Listing("", ()), "", key, documents.timestamp(services.now()))
        fail_run(services, run, "prep", str(error))


def _plan_text(services: Services[Any], listing: Listing) -> bytes:
    return services.store.read(listing.plan.key).body if listing.plan else b"{}"


def _record(services: Services[Any], run: Run, listing: Listing, attempt: str, cause: str, began_at: str) -> None:
    identity = {
        "run_id": run.run_id,
        "dataset": listing.dataset,
        "attempt": attempt,
        "cause": cause,
        "created_at": began_at,
    }
    documents.write(services.store, run.open_marker, identity)
    documents.write_once(services.store, run.key("listing.json"), listing.document)
    documents.write_once(services.store, run.key("run.json"), identity)


def processing_job_request(run: Run, listing: Listing, settings: PreparationSettings) -> Request:
    """Return CreateProcessingJob's arguments for the run's preparation."""
    bucket = f"s3://{settings.bucket_name}"
    dataset_uri = f"{bucket}/{prefix_of(listing.dataset)}"
    references = [
        _input(f"references-{number}", f"references/{name}", f"{bucket}/{list_key(run, name)}", "ManifestFile")
        for number, name in enumerate(sorted(listing.references), start=1)
    ]

    def result(name: str) -> Request:
        s3_output = {
            "S3Uri": f"{bucket}/{run.key(name)}",
            "LocalPath": f"/opt/ml/processing/output/{name}",
            "S3UploadMode": "EndOfJob",
        }
        return {"OutputName": name, "S3Output": s3_output}

    environment = {"DROPSPOT_DATASET_URI": dataset_uri, "DROPSPOT_PREPARED_URI": f"{bucket}/{run.key('prepared')}/"}
    return {
        "ProcessingJobName": run.processing_job,
        "RoleArn": settings.sagemaker_role_arn,
        "AppSpecification": {"ImageUri": settings.prep_image},
        # Without its own URI, which a very long name makes too long, the container goes by the end of a reference.
        "Environment": {name: uri for name, uri in environment.items() if len(uri) <= _ENVIRONMENT_VALUE},
        "ProcessingInputs": [
            _input("dataset", "dataset", dataset_uri),
            _input("plan", "plan", f"{bucket}/{run.key('plan.json')}"),
            *references,
        ],
        "ProcessingOutputConfig": {"Outputs": [result("prepared"), result("report")]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": settings.prep_instance_type, "VolumeSizeInGB": 100}
        },
        # Untrusted pictures are decoded here: the container needs no network and gets none.
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "StoppingCondition": {"MaxRuntimeInSeconds": 21_600},
        "Tags": tags(run, listing.dataset),
    }


def _input(name: str, folder: str, uri: str, kind: str = "S3Prefix") -> Request:
    s3_input = {
        "S3Uri": uri,
        "LocalPath": f"/opt/ml/processing/input/{folder}",
        "S3DataType": kind,
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": name, "S3Input": s3_input}


def tags(run: Run, dataset: str) -> list[dict[str, str]]:
    """Return the tags of everything that a run creates."""
    allowed = "".join(c if c.isalnum() or c in " _.:/=+-@" else "_" for c in dataset)[:256]
    return [
        {"Key": "dropspot:app", "Value": run.app},
        {"Key": "dropspot:run", "Value": run.run_id},
        {"Key": "dropspot:dataset", "Value": allowed},
    ]
