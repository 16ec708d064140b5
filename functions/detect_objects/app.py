"""Images were created or deleted: make the document of each describe what is there now, and tell of it."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from asking import Asker
from dropspot import documents, endpoint
from dropspot.answering import Read
from dropspot.awaiting import ASYNC
from dropspot.describing import Described, Describer, Outcome, absent_documents
from dropspot.errors import InvalidInputError, TransientError
from dropspot.giving_back import NotBegunError, alone, reason, rest_seconds
from dropspot.image_events import REDRIVEN, ImageEvent, announcement
from dropspot.images import ImageRef, is_image_key
from dropspot.look_again import look_again
from dropspot.looking import Looker
from dropspot.ports import ObjectStore
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings

Record = Mapping[str, Any]

# An image is begun only while this much time is left: two attempts to invoke the endpoint may take it.
RESERVED_MILLISECONDS = 140_000

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    image_queue_url: str
    image_dead_letter_queue_url: str
    image_receives: int  # after so many a message is given up
    detect_threads: int
    recheck_seconds: int  # longer than any worker lives that saw an image before it was deleted
    score_threshold: str
    inference_mode: str  # realtime or async


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(
    event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None
) -> dict[str, list[dict[str, str]]]:
    services = services or aws_services(Settings)
    records: dict[str, Record] = {record["messageId"]: record for record in event["Records"]}
    events, errors = read(records)
    images = together(events.values())
    describe = partial(bring_up_to_date, describer=describer(images.values(), services), context=context)
    with ThreadPoolExecutor(services.settings.detect_threads) as pool:
        looks = {key: pool.submit(describe, event) for key, event in images.items()}
    # Threads only look. Logs, metrics, messages and events are this one thread's.
    looked = {message_id: looks[event.key] for message_id, event in events.items()}
    errors |= {message_id: error for message_id, look in looked.items() if (error := look.exception())}
    described = results({message_id: look for message_id, look in looked.items() if message_id not in errors})
    for result in described.values():
        note(result)
        if result.outcome is Outcome.REMOVED and (deletion := deletion_of(result.key, events)):
            with alone(deletion, errors):
                check_again(result.key, services)
    announce(records, described, services, errors)
    given_back = [message_id for message_id, error in errors.items() if give_back(records[message_id], error, services)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in given_back]}


def read(records: Mapping[str, Record]) -> tuple[dict[str, ImageEvent], dict[str, BaseException]]:
    """Return the messages' events, and the errors of those that have none."""
    events, errors = dict[str, ImageEvent](), dict[str, BaseException]()
    for message_id, record in records.items():
        try:
            events[message_id] = ImageEvent.from_message(record["body"])
        except InvalidInputError as error:
            errors[message_id] = error
    return events, errors


def together(events: Iterable[ImageEvent]) -> dict[str, ImageEvent]:
    """Return one event for each image: several are one look at what is there now, and paid for once."""
    found = dict[str, list[ImageEvent]]()
    for event in events:
        found.setdefault(event.key, []).append(event)
    return {key: ImageEvent.of_all(of_one) for key, of_one in found.items()}


def deletion_of(key: str, events: Mapping[str, ImageEvent]) -> str | None:
    """Return the message of the image's deletion, None where none came; an upload's wouldn't be looked at again."""
    return next((message_id for message_id, event in events.items() if event.is_deletion and event.key == key), None)


def results(looks: Mapping[str, Future[Described]]) -> dict[str, Described]:
    """Return what became of each message; of several that share a look, the first has changed all that was changed."""
    described, seen = dict[str, Described](), set[Future[Described]]()
    for message_id, look in looks.items():
        result = look.result()
        described[message_id] = replace(result, outcome=Outcome.UNCHANGED) if look in seen else result
        seen.add(look)
    return described


def describer(events: Iterable[ImageEvent], services: Services[Settings]) -> Describer:
    """Return what describes all images of a batch. What they share is asked for once, and only where it is needed."""
    settings, store = services.settings, services.store
    read_once = cache(partial(documents.read_or_none, store))
    images = [image for event in events if (image := image_of(event, store))]
    champion = partial(champion_run, read_once)
    absent = absent_documents(store, images)
    if settings.inference_mode == ASYNC:
        ask, ask_anew = asker(services), asker(services, anew=True)
        return Describer(store, ask.look, champion, services.now, absent, ask_anew.look)
    return Describer(store, looker(services, read_once).look, champion, services.now, absent)


def looker(services: Services[Settings], read_once: Read) -> Looker:
    settings = services.settings
    return Looker(
        app_name=settings.app_name,
        endpoint_name=settings.endpoint_name,
        score_threshold=settings.score_threshold,
        store=services.store,
        inference=services.inference,
        now=services.now,
        read=read_once,
    )


def asker(services: Services[Settings], *, anew: bool = False) -> Asker:
    return Asker(services.settings.endpoint_name, services.store, services.inference, services.now, anew)


def image_of(event: ImageEvent, store: ObjectStore) -> ImageRef | None:
    """Return the event's image, None where it is none or its document's key would be too long."""
    try:
        return ImageRef.from_key(store.bucket, event.key)
    except InvalidInputError:
        return None


def bring_up_to_date(event: ImageEvent, describer: Describer, context: LambdaContext) -> Described:
    """Make the document of the event's image describe what is there now."""
    image = image_of(event, describer.store)
    if image is None:
        return Described(Outcome.REFUSED if is_image_key(event.key) else Outcome.IGNORED, event.key, None)
    if context.get_remaining_time_in_millis() < RESERVED_MILLISECONDS:
        raise NotBegunError("begin an image: those before it left too little time")
    return describer.bring_up_to_date(image, event)


def check_again(key: str, services: Services[Settings]) -> None:
    """Look again when no worker is left that may still write the document of the image as it was."""
    settings = services.settings
    services.queues.send(settings.image_queue_url, look_again(key), settings.recheck_seconds)


def announce(
    records: Mapping[str, Record],
    described: Mapping[str, Described],
    services: Services[Settings],
    errors: dict[str, BaseException],
) -> None:
    """Tell of the new documents; a message whose event the bus did not take has failed.

    A message that comes again may have left its document and died before it told of it: it tells of that one too.
    """
    events = dict[str, tuple[str, dict[str, Any]]]()
    for message_id, result in described.items():
        if result.document and (result.outcome is not Outcome.UNCHANGED or came_before(records[message_id])):
            with alone(message_id, errors):
                events[message_id] = announcement(result.document)
    try:
        taken = services.bus.put_all(list(events.values()))
    except Exception as error:  # noqa: BLE001  # of those alone that had something to tell
        errors |= dict.fromkeys(events, error)
        return
    refused = TransientError("announce the document: the event bus didn't take it")
    errors |= {message_id: refused for message_id, is_taken in zip(events, taken, strict=True) if not is_taken}


def note(result: Described) -> None:
    """Log and count what became of one image."""
    say = logger.error if result.outcome is Outcome.REFUSED else logger.info
    say("Image processed", image=result.key, outcome=result.outcome.value)
    metrics.add_metric(result.outcome.value, MetricUnit.Count, 1)


def give_back(record: Record, error: BaseException, services: Services[Settings]) -> bool:
    """Let the message come again after a rest; return False where it is done with: set aside, or sent afresh."""
    settings, queues, count = services.settings, services.queues, receives(record)
    try:
        if isinstance(error, NotBegunError):
            logger.info("Record put off", message_id=record["messageId"], receives=count)
            queues.send(settings.image_queue_url, record["body"], error.rest, **redriven(record))
            return False
        logger.error("Record failed", message_id=record["messageId"], receives=count, exc_info=error)
        metrics.add_metric("ImagesFailed", MetricUnit.Count, 1)
        if count >= settings.image_receives:
            queues.set_aside(settings.image_dead_letter_queue_url, record["body"], *reason(error))
            metrics.add_metric("ImagesGivenUp", MetricUnit.Count, 1)
            return False
        queues.postpone(settings.image_queue_url, record["receiptHandle"], rest_seconds(error, count))
    except Exception:
        logger.exception("Record comes again when its visibility ends", message_id=record["messageId"])
    return True


def came_before(record: Record) -> bool:
    """Tell whether a message was received earlier: by this queue, or before it lay in the dead-letter queue."""
    return receives(record) > 1 or REDRIVEN in record.get("messageAttributes", {})


def redriven(record: Record) -> dict[str, str]:
    """Return the attributes of a message that is sent afresh: that it came before must not be forgotten."""
    return {REDRIVEN: "true"} if came_before(record) else {}


def receives(record: Record) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def champion_run(read: Read) -> str | None:
    """Return the id of the run that is in service, None before the first."""
    document = read(endpoint.CHAMPION)
    return document and str(document["run_id"])
