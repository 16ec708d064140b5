"""Once a day: images whose document never came, and documents whose image is gone, are handed to the image queue."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot.awaiting import ASYNC
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from overlooked import AUDIT_DUE, AuditCommand, overlooked, settled_before

LEAST_MILLISECONDS = 60_000  # after which another page of the listings isn't begun

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    image_queue_url: str
    inference_mode: str  # realtime or async


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    command, queue = AuditCommand.from_event(event), services.settings.image_queue_url
    before = settled_before(services, queue, asks=services.settings.inference_mode == ASYNC)
    if before is None:
        logger.info("Audit put off: no endpoint is in service")
        return
    found = 0
    for batch in overlooked(services.store, command, before):
        found += services.queues.send_all(queue, batch.messages)
        if batch.then and context.get_remaining_time_in_millis() < LEAST_MILLISECONDS:
            services.bus.put(AUDIT_DUE, batch.then.detail)
            break
    metrics.add_metric("ImagesOverlooked", MetricUnit.Count, found)
    (logger.warning if found else logger.info)("Images compared with their documents", overlooked=found)
