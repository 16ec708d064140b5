"""The target is in service and has proven itself: write it down, and remove what nobody will go back to."""

from collections.abc import Sequence
from typing import Any

from decision import Situation, superfluous
from dropspot import documents
from dropspot.endpoint import CHAMPION, DESIRED, MODEL_DEPLOYED, Deployment, champions_before, wanted_in
from dropspot.errors import InvalidInputError
from dropspot.failures import notice
from dropspot.runs import Run
from dropspot.services import Services
from guardrails import alarm_names


def promote(
    target: Deployment, situation: Situation, services: Services[Any], classes: Sequence[str], pictures: int
) -> None:
    """Record the target as champion; `pictures` counts those of its smoke test."""
    store, app = services.store, services.settings.app_name
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
    kept = [Run.from_id(app, run_id) for run_id in before[: services.settings.keep_configs]]
    clean_up(target, kept, situation, services)
    documents.write(store, CHAMPION, champion)  # last: without it, the next pass does all of this again


def clean_up(champion: Deployment, kept: Sequence[Run], situation: Situation, services: Services[Any]) -> None:
    """Delete the endpoint configs, alarms and models of all runs but the champion, those kept, and candidates."""
    app, hosting = services.settings.app_name, services.hosting
    # Read again: whatever has been wanted since the pass began needs its config.
    wanted = wanted_in(app, documents.read_or_none(services.store, DESIRED))
    waiting = [found.run for found in wanted if found.order > champion.order and not situation.has_failed(found)]
    needed = {run.endpoint_config for run in (champion.run, *kept, *waiting)}
    for config in superfluous(hosting.endpoint_configs(f"{app}-"), needed):
        try:
            run = Run.from_name(app, config)
        except InvalidInputError:
            continue  # it is somebody else's
        hosting.delete_endpoint_config(config)
        services.alarms.delete(alarm_names(run))
        hosting.delete_model(run.model)
