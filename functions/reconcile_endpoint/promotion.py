"""A model has proven itself: write it down, and then remove what nobody will go back to."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from decision import Situation, superfluous
from dropspot import documents
from dropspot.desired import overtaken_by
from dropspot.endpoint import CHAMPION, DESIRED, MODEL_DEPLOYED, Deployment, champions_before, wanted_in
from dropspot.errors import InvalidInputError
from dropspot.evaluation_record import EvaluationRecord
from dropspot.failures import notice
from dropspot.ports import ObjectStore
from dropspot.runs import OPEN_PREFIX, Run, RunStatus
from dropspot.services import Services
from guardrails import alarm_names

CLEANED_UP = "endpoint/cleaned_up.json"


def promote(target: Deployment, services: Services[Any], classes: Sequence[str], pictures: int) -> None:
    """Record the target as champion; `pictures` counts those of its smoke test."""
    store = services.store
    before = champions_before(documents.read_or_none(store, CHAMPION), target.run)
    champion: dict[str, Any] = target.document | {
        "classes": list(classes),
        "in_service_since": documents.timestamp(services.now()),
        "smoke_test": {"pictures": pictures},
        "before": before,
    }
    documents.write(store, target.run.key("champion.json"), champion)
    told = notice(f"The model of run {target.run.run_id} is in service at {services.settings.endpoint_name}")
    services.bus.put(MODEL_DEPLOYED, {"run_id": target.run.run_id, "dataset": target.dataset, "notice": told})
    documents.write(store, CHAMPION, champion)  # last: without it, the next pass does all of this again


def note_return(services: Services[Any], asked_at: datetime | None) -> None:
    """Write down since when the champion is in service where it came back: another model has answered in between."""
    champion = documents.read(services.store, CHAMPION)
    if asked_at and documents.timestamp(asked_at) > champion["in_service_since"]:
        since = documents.timestamp(services.now())
        documents.write(services.store, CHAMPION, champion | {"in_service_since": since})


def tidy(situation: Situation, services: Services[Any]) -> None:
    """Clean up after a change of what should be in service, now that it is; each pass tries until it is done.

    What is remembered is the occasion, so that the other passes need not list anything.
    """
    champion = situation.champion
    if champion is None or not situation.is_settled:
        return
    store, app = services.store, services.settings.app_name
    occasion = {"champion": champion.document, "wanted": [wanted.document for wanted in situation.wanted]}
    if documents.read_or_none(store, CLEANED_UP) == occasion:
        return
    before = documents.read(store, CHAMPION).get("before", [])
    kept = [Run.from_id(app, run_id) for run_id in before[: services.settings.keep_configs]]
    clean_up(champion, kept, situation, services)
    documents.write(store, CLEANED_UP, occasion)


def clean_up(champion: Deployment, kept: Sequence[Run], situation: Situation, services: Services[Any]) -> None:
    """Delete the endpoint configs, alarms and models of all runs but the champion, those kept, and candidates.

    Of models, those stay too that an evaluation may still ask. What is there is listed before it is asked who needs it:
    nobody begins to need what was made earlier.
    """
    app, hosting, store = services.settings.app_name, services.hosting, services.store
    models, configs = hosting.model_names(f"{app}-"), hosting.endpoint_configs(f"{app}-")
    evaluated = set(under_evaluation(store, app))
    wanted = wanted_in(app, documents.read_or_none(store, DESIRED))
    waiting = [found.run for found in wanted if found.order > champion.order and not situation.has_failed(found)]
    needed = {champion.run, *kept, *waiting}
    for name in superfluous(configs, {run.endpoint_config for run in needed}):
        if run := owner_of(app, name, "config"):
            record_overtaken(services, run, wanted[0] if wanted else champion)
            hosting.delete_endpoint_config(name)
            services.alarms.delete(alarm_names(run))
    for name in superfluous(models, {run.model for run in needed | evaluated}):
        if owner_of(app, name, "model"):
            hosting.delete_model(name)


def record_overtaken(services: Services[Any], run: Run, by: Deployment) -> None:
    """Write down that a run on its way into service won't get there, where its deployment has no other end."""
    names = set(services.store.children(run.key("")))
    if RunStatus.of(names).state == "deploying":
        document = {"by": by.run.run_id, "message": overtaken_by(by), "at": documents.timestamp(services.now())}
        documents.write(services.store, run.key("overtaken.json"), document)


def owner_of(app: str, name: str, kind: str) -> Run | None:
    """Return the run whose endpoint config or model has this name, None where it is somebody else's."""
    try:
        run = Run.from_name(app, name)
    except InvalidInputError:
        return None
    return run if run.name(kind) == name else None


def under_evaluation(store: ObjectStore, app: str) -> Iterator[Run]:
    """Yield the runs that haven't ended, and the champions that these are compared with."""
    for name in store.children(OPEN_PREFIX):
        try:
            run = Run.from_id(app, name)
        except InvalidInputError:
            continue
        if RunStatus.of(set(store.children(run.key("")))).state not in {"running", "awaiting_approval"}:
            continue  # resume_runs has not come by yet
        yield run
        record = EvaluationRecord.read(store, run)
        if record and record.champion:
            yield Run.from_id(app, record.champion.run_id)
