"""A job of ours has failed or was stopped: write down why, count it, announce it."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot.events import JobCommand
from dropspot.failures import fail_run
from dropspot.pipeline import STEPS
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.settings import Settings
from dropspot.trainings import job_of

logger, metrics = Logger(), Metrics()


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    command = JobCommand.from_event(event)
    run = Run.from_name(services.settings.app_name, command.job)
    step = STEPS[command.job.rpartition("-")[2]]
    job = job_of(step, run, services.store, services.jobs)
    if not job.has_failed:
        logger.warning("Job has not failed", job=job.name, status=job.status)
        return
    if fail_run(services, run, step.name, job.reason or f"{job.name} was {job.status.lower()}"):
        logger.error("Run failed", run_id=run.run_id, step=step.name, reason=job.reason)
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
