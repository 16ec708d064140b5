"""Objects created or deleted under `datasets/`: once the upload has settled, begin the run of what is there."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot.datasets import Listing, prefix_of
from dropspot.events import ObjectEvent
from dropspot.preparation import PreparationSettings, begin_run, refuse_stray
from dropspot.services import Services, aws_services
from settling import STRAY, Upload, by_dataset, newest, state_of

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(PreparationSettings):
    dataset_queue_url: str
    settle_seconds: int


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(
    event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None
) -> dict[str, list[dict[str, str]]]:
    services = services or aws_services(Settings)
    failed: list[str] = []
    for dataset, messages in by_dataset(event["Records"]).items():
        try:
            look_at(dataset, list(messages.values()), services)
        except Exception:
            # A batch holds messages of several data sets: what goes wrong with one must not repeat the others.
            logger.exception("Data set not looked at", dataset=dataset)
            failed += messages
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def look_at(dataset: str, events: list[ObjectEvent], services: Services[Settings]) -> None:
    """Begin the data set's run, or leave it to a later message."""
    if dataset == STRAY:
        for event in events:
            refuse_stray(services, event.key)
        return
    prefix, last = prefix_of(dataset), newest(events)
    # The uploads are asked for first: one that completes in between is then in the listing.
    has_open_upload = services.store.has_open_upload(prefix)
    listing = Listing.of(dataset, services.store.objects(prefix))
    upload = state_of(listing, last, has_open_upload=has_open_upload)
    logger.info("Data set looked at", dataset=dataset, upload=upload.value, objects=len(listing.objects))
    if upload is Upload.UPLOADING:
        # A message of its own, so that waiting never counts as a failed receive.
        services.queues.send(services.settings.dataset_queue_url, last.body, max(1, services.settings.settle_seconds))
    elif upload is Upload.SETTLED:
        begun = begin_run(services, listing, attempt="", cause=last.key)
        if begun.refusal:
            logger.error("Run failed", run_id=begun.run.run_id, step="prep", reason=begun.refusal)
            metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
            return
        logger.info("Run begun", run_id=begun.run.run_id)
        metrics.add_metric("RunsBegun", MetricUnit.Count, 1)
