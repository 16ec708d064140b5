"""A rollback is requested: say that an earlier run's model should be in service again."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot.desired import want
from dropspot.endpoint import ENDPOINT_DESIRED, ROLLBACK_FAILED
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.events import RollbackCommand
from dropspot.failures import notice
from dropspot.rollback import requested_run, restoration_of
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    served_dataset: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    command = RollbackCommand.from_event(event)
    try:
        app, at = services.settings.app_name, command.requested_at
        run = requested_run(services.store, app, command.run_id, command.cause, at)
        restored = restoration_of(services.store, run, at)
        objection = want(services.store, restored, services.settings.served_dataset, f"rollback {command.cause}")
        if objection:
            raise InvalidInputError(f"roll back to {run.run_id}: {objection.message}")
    except (InvalidInputError, NotFoundError) as error:
        logger.error("Rollback refused", cause=command.cause, reason=str(error))
        metrics.add_metric("RollbacksRefused", MetricUnit.Count, 1)
        told = notice(f"Nothing changes: {error}")
        services.bus.put(ROLLBACK_FAILED, {"run_id": str(command.run_id or "")[:80], "notice": told})
        return
    services.bus.put(ENDPOINT_DESIRED, {"run_id": run.run_id})
    logger.info("Rollback begun", run_id=run.run_id)
    metrics.add_metric("RollbacksBegun", MetricUnit.Count, 1)
