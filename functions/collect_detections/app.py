"""Asynchronous inference has ended: put the document that its answer makes in place, and tell of it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from collecting import Collected, Collector
from dropspot import documents, endpoint
from dropspot.errors import TransientError
from dropspot.giving_back import NotBegunError, alone, reason
from dropspot.image_events import announcement
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from dropspot.settled import Settled

THREADS = 8  # each waits for S3
FIRST_SECONDS, LONGEST_SECONDS = 2, 900  # that a message rests which can't be dealt with now

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    image_queue_url: str
    image_dead_letter_queue_url: str
    inference_queue_url: str
    inference_dead_letter_queue_url: str
    inference_receives: int  # after so many a message is given up
    score_threshold: str


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(
    event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None
) -> dict[str, list[dict[str, str]]]:
    services = services or aws_services(Settings)
    collector = collector_now(services)
    records: dict[str, Mapping[str, Any]] = {record["messageId"]: record for record in event["Records"]}
    with ThreadPoolExecutor(THREADS) as pool:
        work = {
            message_id: pool.submit(collector.collect, record["body"], receives(record))
            for message_id, record in records.items()
        }
    # Threads only collect. Logs, metrics and events are this one thread's.
    errors = {message_id: error for message_id, done in work.items() if (error := done.exception())}
    collected = {message_id: done.result() for message_id, done in work.items() if message_id not in errors}
    for result in collected.values():
        logger.info("Answer collected", image=result.key, outcome=result.outcome)
        metrics.add_metric(f"Answers{result.outcome.capitalize()}", MetricUnit.Count, 1)
    announce(collected, services, errors)
    given_back = [message_id for message_id, error in errors.items() if give_back(records[message_id], error, services)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in given_back]}


def collector_now(services: Services[Settings]) -> Collector:
    """Return what collects a batch: the endpoint and whose model answers are looked up once for it."""
    present = services.hosting.endpoint(services.settings.endpoint_name)
    champion = (documents.read_or_none(services.store, endpoint.CHAMPION) or {}).get("run_id")
    queues, settings = services.queues, services.settings
    return Collector(
        app_name=services.settings.app_name,
        score_threshold=services.settings.score_threshold,
        store=services.store,
        now=services.now,
        endpoint=present,
        champion=champion,
        settled=Settled.read(services.store),
        send=lambda message: queues.send(settings.image_queue_url, message, 0),
        set_aside=lambda message, error: queues.set_aside(
            settings.image_dead_letter_queue_url, message, *reason(error)
        ),
    )


def give_back(record: Mapping[str, Any], error: BaseException, services: Services[Settings]) -> bool:
    """Let the message come again after a rest; return False where it is done with: set aside, or sent afresh."""
    settings, queues, count, message_id = services.settings, services.queues, receives(record), record["messageId"]
    try:
        if isinstance(error, NotBegunError):
            logger.info("Record put off", message_id=message_id, reason=str(error))
            queues.send(settings.inference_queue_url, record["body"], error.rest)
            return False
        logger.error("Record failed", message_id=message_id, exc_info=error)
        metrics.add_metric("AnswersFailed", MetricUnit.Count, 1)
        if count >= settings.inference_receives:
            queues.set_aside(settings.inference_dead_letter_queue_url, record["body"], *reason(error))
            metrics.add_metric("AnswersGivenUp", MetricUnit.Count, 1)
            return False
        rest = min(FIRST_SECONDS * 2 ** (count - 1), LONGEST_SECONDS)
        queues.postpone(settings.inference_queue_url, record["receiptHandle"], rest)
    except Exception:
        logger.exception("Record comes again when its visibility ends", message_id=message_id)
    return True


def receives(record: Mapping[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def announce(
    collected: Mapping[str, Collected], services: Services[Settings], errors: dict[str, BaseException]
) -> None:
    """Tell of the new documents, and forget what was awaited; a message whose event the bus did not take has failed."""
    events = {message_id: announcement(result.document) for message_id, result in collected.items() if result.document}
    try:
        taken = services.bus.put_all(list(events.values()))
    except Exception as error:  # noqa: BLE001  # of those alone that had something to tell
        errors |= dict.fromkeys(events, error)
    else:
        refused = TransientError("announce the document: the event bus didn't take it")
        errors |= {message_id: refused for message_id, is_taken in zip(events, taken, strict=True) if not is_taken}
    for message_id, result in collected.items():
        if message_id not in errors and result.is_done and result.awaited:
            with alone(message_id, errors):
                result.awaited.forget(services.store)
