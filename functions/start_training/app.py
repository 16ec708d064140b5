"""A Processing job of ours has completed: start the Training job on what it prepared."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot import documents
from dropspot.datasets import Listing, prefix_of
from dropspot.errors import InvalidInputError
from dropspot.events import JobCommand
from dropspot.failures import fail_run
from dropspot.jobs import ensure_started
from dropspot.plan import TrainingPlan
from dropspot.ports import JobKind
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from training import Prepared, training_job_request

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    training_image: str
    algorithm: str
    sagemaker_role_arn: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    run = Run.from_name(services.settings.app_name, JobCommand.from_event(event).job)
    dataset = documents.read(services.store, run.key("run.json"))["dataset"]
    if superseded(run, dataset, services):
        logger.info("Run superseded", run_id=run.run_id)
        return
    prepared = Prepared.from_report(documents.read(services.store, run.key("report", "report.json")))
    plan = TrainingPlan.from_document(documents.read(services.store, run.key("plan.json")))
    try:
        request = training_job_request(run, dataset, plan, prepared, services.settings)
        started = ensure_started(services, run, "train", JobKind.TRAINING, request)
    except InvalidInputError as error:
        fail_run(services, run, "train", str(error))
        logger.error("Run failed", run_id=run.run_id, step="train", reason=str(error))
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    if started:
        logger.info("Training started", run_id=run.run_id, job=run.training_job)
        metrics.add_metric("TrainingsStarted", MetricUnit.Count, 1)


def superseded(run: Run, dataset: str, services: Services[Settings]) -> bool:
    """Tell whether the data changed while it was being prepared, and write that down.

    What changed it sent events of its own, which begin the new content's run.
    """
    now = Listing.of(dataset, services.store.objects(prefix_of(dataset))).document
    if now == documents.read(services.store, run.key("listing.json")):
        return False
    at = documents.timestamp(services.now())
    documents.write_once(services.store, run.key("superseded.json"), {"objects_now": len(now), "at": at})
    return True
