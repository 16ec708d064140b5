"""An image was created or deleted: make its detections document describe what is there now."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from detection import Detection
from dropspot import documents, endpoint
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.images import ImageRef, is_image_key
from dropspot.ports import ObjectStore
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from image_event import ImageEvent
from looking import Looker

RETRY_SECONDS = 30  # how long a message rests while no endpoint is in service

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    image_queue_url: str
    score_threshold: float


class LoggingProcessor(BatchProcessor):
    """A batch processor that says why a record failed; Powertools' own only reports that it did."""

    def failure_handler(self, record: Any, exception: Any) -> Any:
        logger.error("Record failed", message_id=record.message_id, exc_info=exception)
        metrics.add_metric("ImagesFailed", MetricUnit.Count, 1)
        return super().failure_handler(record, exception)


processor = LoggingProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(
    event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None
) -> PartialItemFailureResponse:
    services = services or aws_services(Settings)
    champion = cache(partial(champion_run, services.store))  # read at most once in a batch
    return process_partial_response(
        event, partial(detect_record, services=services, champion=champion), processor, context
    )


def detect_record(record: SQSRecord, services: Services[Settings], champion: Callable[[], str | None]) -> None:
    settings, store = services.settings, services.store
    event = ImageEvent.from_message(record.body)
    logger.append_keys(image=event.key)
    if not is_image_key(event.key):
        logger.info("Object ignored")
        return
    try:
        image = ImageRef.from_key(store.bucket, event.key)
    except InvalidInputError as error:
        # Its document could not be written either: this line and the metric are all that there can be.
        logger.error("Image refused", reason=str(error))
        metrics.add_metric("ImagesRefused", MetricUnit.Count, 1)
        return
    looker = Looker(
        app_name=settings.app_name,
        endpoint_name=settings.endpoint_name,
        score_threshold=settings.score_threshold,
        store=store,
        inference=services.inference,
        now=services.now,
    )
    try:
        outcome = Detection(store, looker.look, champion, services.now).bring_up_to_date(image, event)
    except NotFoundError:
        # The queue is closed while no endpoint is in service, but closing takes effect late.
        services.queues.postpone(settings.image_queue_url, record.receipt_handle, RETRY_SECONDS)
        raise
    logger.info("Image processed", outcome=outcome.value)
    metrics.add_metric(outcome.value, MetricUnit.Count, 1)


def champion_run(store: ObjectStore) -> str | None:
    """Return the id of the run that is in service, None before the first."""
    document = documents.read_or_none(store, endpoint.CHAMPION)
    return document and str(document["run_id"])
