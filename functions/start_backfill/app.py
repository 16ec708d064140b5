"""A backfill is asked for: write down what it looks at and with which model, and let it begin."""

from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot import documents
from dropspot.backfills import BACKFILL_DUE, BACKFILL_FAILED, Backfill, BackfillRequest
from dropspot.errors import InvalidInputError
from dropspot.failures import notice
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from requesting import BackfillCommand, request_and_model

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    score_threshold: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    command = BackfillCommand.from_event(event)
    try:
        request, model = request_and_model(command, services.store, services.settings)
    except InvalidInputError as error:
        logger.error("Backfill refused", cause=command.cause, reason=str(error))
        metrics.add_metric("BackfillsRefused", MetricUnit.Count, 1)
        told = notice(f"No backfill was started: {error}")
        services.bus.put(
            BACKFILL_FAILED, {"backfill": "", "cause": command.cause, "message": str(error), "notice": told}
        )
        return
    backfill = begin(command, request, asdict(model), services)
    logger.info("Backfill begun", backfill=backfill.backfill_id, prefix=request.prefix)
    metrics.add_metric("BackfillsBegun", MetricUnit.Count, 1)


def begin(
    command: BackfillCommand, request: BackfillRequest, model: dict[str, Any], services: Services[Settings]
) -> Backfill:
    """Write the backfill's documents and wake the function that takes it on."""
    settings, store = services.settings, services.store
    backfill = Backfill.of(settings.app_name, store.bucket, request.prefix, command.cause)
    at = documents.timestamp(services.now())
    identity = {"backfill": backfill.backfill_id, **request.document, "run_id": model["run_id"], "cause": command.cause}
    documents.write(store, backfill.open_marker, identity)
    documents.write_once(store, backfill.key("model.json"), model)
    documents.write_once(store, backfill.key("backfill.json"), {**identity, "created_at": at})
    services.bus.put(BACKFILL_DUE, {"job": backfill.name})
    return backfill
