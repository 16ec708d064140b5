"""A retraining is asked for, by event, schedule or API: begin a new attempt with the data set as it is now."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot.datasets import Listing, prefix_of
from dropspot.errors import InvalidInputError
from dropspot.events import RetrainingCommand
from dropspot.failures import RUN_FAILED, notice
from dropspot.preparation import PreparationSettings, begin_run
from dropspot.services import Services, aws_services
from retraining import dataset_to_retrain

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(PreparationSettings):
    served_dataset: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    command = RetrainingCommand.from_event(event)
    try:
        dataset = dataset_to_retrain(command, services)
        listing = Listing.of(dataset, services.store.objects(prefix_of(dataset)))
        if not listing.content:
            raise InvalidInputError(
                f"retrain {dataset}: s3://{services.store.bucket}/{prefix_of(dataset)} holds no data"
            )
    except InvalidInputError as error:
        logger.error("Retraining refused", cause=command.cause, reason=str(error))
        metrics.add_metric("RetrainingsRefused", MetricUnit.Count, 1)
        services.bus.put(RUN_FAILED, refusal(command, str(error)))
        return
    # The run counts from when it was asked for, however late the event comes: what is asked for last is wanted.
    begun = begin_run(services, listing, command.cause, command.cause, began_at=command.requested_at)
    if begun.refusal:
        logger.error("Run failed", run_id=begun.run.run_id, step="prep", reason=begun.refusal)
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    logger.info("Retraining begun", run_id=begun.run.run_id)
    metrics.add_metric("RunsBegun", MetricUnit.Count, 1)


def refusal(command: RetrainingCommand, message: str) -> dict[str, object]:
    """Return the announcement that no run could begin."""
    return {
        "run_id": "",
        "dataset": str(command.dataset or "")[:80],
        "step": "prep",
        "message": message,
        "remedy": "",
        "job": "",
        "notice": notice(f"No run was started: {message}"),
    }
