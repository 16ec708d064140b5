"""A backfill may go on: a job of it has ended, it has just begun, or it is due."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from advancing import Advance, Settings
from dropspot.backfills import Backfill
from dropspot.events import JobCommand
from dropspot.services import Services, aws_services

LEAST_MILLISECONDS = 420_000  # that the longest piece of work may take: the listing of a part

logger, metrics = Logger(), Metrics()


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    backfill = Backfill.from_name(services.settings.app_name, JobCommand.from_event(event).job)
    logger.append_keys(backfill=backfill.backfill_id)
    advance = Advance.of(backfill, services, lambda: context.get_remaining_time_in_millis() > LEAST_MILLISECONDS)
    for step in advance.go():
        logger.info("Backfill advanced", step=step)
        metrics.add_metric("BackfillSteps", MetricUnit.Count, 1)
