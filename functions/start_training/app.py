"""A Processing job of ours has completed: start the Training job on what it prepared."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from crosschecks import check_records
from dropspot import documents
from dropspot.datasets import Listing, of_the_folder, prefix_of
from dropspot.errors import InvalidInputError
from dropspot.events import JobCommand
from dropspot.failures import fail_run
from dropspot.jobs import ensure_started
from dropspot.plan import TrainingPlan
from dropspot.ports import JobKind
from dropspot.preparation import RETRAINING_REQUESTED
from dropspot.prepared import Prepared
from dropspot.references import with_references
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.settings import DataSettings
from incremental import start_of
from training import training_job_request
from tuning import tuning_job_request

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(DataSettings):
    training_image: str
    algorithm: str
    sagemaker_role_arn: str
    cost_centre: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    run = Run.from_name(services.settings.app_name, JobCommand.from_event(event).job)
    if any(services.store.head(run.key(ended)) is not None for ended in ("train.json", "superseded.json")):
        return  # a late event: the data may have changed since, which says nothing of this run any more
    dataset = documents.read(services.store, run.key("run.json"))["dataset"]
    if superseded(run, dataset, services):
        logger.info("Run superseded", run_id=run.run_id)
        return
    try:
        started = start(run, dataset, services)
    except InvalidInputError as error:
        fail_run(services, run, "train", str(error))
        logger.error("Run failed", run_id=run.run_id, step="train", reason=str(error))
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    if started:
        logger.info("Training started", run_id=run.run_id)
        metrics.add_metric("TrainingsStarted", MetricUnit.Count, 1)


def start(run: Run, dataset: str, services: Services[Settings]) -> bool:
    """Start the run's training, or its tuning; return whether this call did. Raises InvalidInputError."""
    store = services.store
    prepared = Prepared.from_report(documents.read(store, run.key("report", "report.json")))
    plan = TrainingPlan.from_document(documents.read(store, run.key("plan.json")))
    request = training_job_request(run, dataset, plan, prepared, services.settings)
    check_records(store, run, prepared)
    noted = {}
    if plan.incremental:
        begin = start_of(run, request, services.settings.algorithm, store, services.jobs)
        request["InputDataConfig"] += begin.channels
        noted = {"incremental": begin.document}
    if plan.tuning:
        tuning = tuning_job_request(run, request, plan.tuning)
        return ensure_started(services, run, "train", JobKind.TUNING, tuning, **noted)
    return ensure_started(services, run, "train", JobKind.TRAINING, request, **noted)


def superseded(run: Run, dataset: str, services: Services[Settings]) -> bool:
    """Tell whether the data changed while it was being prepared, and write that down.

    What changed in the data set's folder sent events of its own, which begin the new content's run. A change of what
    its manifests refer to sent none, so the new run is asked for here.
    """
    kept = documents.read(services.store, run.key("listing.json"))
    listing = Listing.of(dataset, services.store.objects(prefix_of(dataset)))
    asks_for_a_run = listing.document == of_the_folder(kept)
    if asks_for_a_run:
        plan = documents.read(services.store, run.key("plan.json"))
        try:
            listing = with_references(services, listing, plan["layout"])
        except InvalidInputError as error:  # the new run will fail with this sentence
            logger.warning("References gone", run_id=run.run_id, reason=str(error))
    if listing.document == kept:
        return False
    at, key = documents.timestamp(services.now()), run.key("superseded.json")
    if asks_for_a_run and services.store.head(key) is None:
        services.bus.put(RETRAINING_REQUESTED, {"dataset": dataset})
    documents.write_once(services.store, key, {"objects_now": len(listing.document), "at": at})
    return True
