"""Looking at the endpoint's situation, and acting on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from decision import Action, Situation, superfluous
from dropspot import documents
from dropspot.endpoint import CHAMPION, DESIRED, MODEL_DEPLOYED, Deployment
from dropspot.errors import InvalidInputError
from dropspot.failures import fail_run, notice
from dropspot.ports import Endpoint, Request
from dropspot.preparation import tags
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import Settings as BaseSettings


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    """What reconcile_endpoint is told; `keep_configs` counts the configs kept for going back."""

    image_mapping_id: str
    keep_configs: int


def observe(services: Services[Settings]) -> Situation:
    """Return the situation as it is now."""
    store = services.store

    def deployment(key: str) -> Deployment | None:
        document = documents.read_or_none(store, key)
        return Deployment.from_document(services.settings.app_name, document) if document else None

    def asked_at(target: Deployment) -> datetime | None:
        document = documents.read_or_none(store, target.run.key("deploy.json"))
        return datetime.fromisoformat(document["asked_at"]) if document else None

    return Situation(
        endpoint=services.hosting.endpoint(services.settings.endpoint_name),
        desired=deployment(DESIRED),
        champion=deployment(CHAMPION),
        has_failed=lambda target: store.head(target.run.key("failure.json")) is not None,
        asked_at=asked_at,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass came to: whether it changed anything, and why it failed the target's run, where it did."""

    changed: bool
    failure: str = ""


def act(action: Action, situation: Situation, services: Services[Settings]) -> Outcome:
    """Do it."""
    name, target = services.settings.endpoint_name, situation.target
    if action is Action.DELETE and situation.endpoint:
        failure = blame(situation, situation.endpoint, services)
        services.hosting.delete_endpoint(name)
        return Outcome(changed=True, failure=failure)
    if target is None or action is Action.WAIT:
        return Outcome(changed=False)
    if action is Action.GIVE_UP:
        reason = situation.endpoint.reason if situation.endpoint else ""
        reason = reason or "the endpoint went back to the model before"
        fail_run(services, target.run, "deploy", reason)
        return Outcome(changed=True, failure=reason)
    if action is Action.PROMOTE:
        return Outcome(promote(target, situation, services))
    return serve(action, target, services)


def blame(situation: Situation, endpoint: Endpoint, services: Services[Settings]) -> str:
    """Fail the run whose config brought the endpoint down, and return why.

    The champion's run, once in service, has not failed: it is only tried again.
    """
    target = situation.target
    if target is None or target == situation.champion or endpoint.config not in {"", target.run.endpoint_config}:
        return ""
    reason = endpoint.reason or f"the endpoint is {endpoint.status}"
    fail_run(services, target.run, "deploy", reason)
    return reason


def serve(action: Action, target: Deployment, services: Services[Settings]) -> Outcome:
    """Ask the endpoint to serve the target. That it was asked is written first: it tells a rollback later."""
    name = services.settings.endpoint_name
    at = documents.timestamp(services.now())
    documents.write(services.store, target.run.key("deploy.json"), {"endpoint": name, "asked_at": at})
    try:
        if action is Action.CREATE:
            services.hosting.create_endpoint(
                endpoint_request(name, target) | {"Tags": tags(target.run, target.dataset)}
            )
        else:
            services.hosting.update_endpoint(endpoint_request(name, target))
    except InvalidInputError as error:
        # Refused: for good, unless the endpoint was on its way already when we asked.
        endpoint = services.hosting.endpoint(name)
        if endpoint is None or endpoint.status == "InService":
            fail_run(services, target.run, "deploy", str(error))
            return Outcome(changed=False, failure=str(error))
        return Outcome(changed=False)
    return Outcome(changed=True)


def endpoint_request(name: str, target: Deployment) -> Request:
    """Return the arguments that CreateEndpoint and UpdateEndpoint share."""
    return {"EndpointName": name, "EndpointConfigName": target.run.endpoint_config}


def promote(target: Deployment, situation: Situation, services: Services[Settings]) -> bool:
    """Record the target as champion, and remove what is no longer needed; False where it is the champion already."""
    if situation.champion == target:
        return False
    store = services.store
    classes = documents.read(store, target.run.key("prepared", "classes.json"))["classes"]
    at = documents.timestamp(services.now())
    champion: dict[str, Any] = target.document | {"classes": classes, "in_service_since": at}
    documents.write(store, target.run.key("champion.json"), champion)
    told = notice(f"The model of run {target.run.run_id} is in service at {services.settings.endpoint_name}")
    services.bus.put(MODEL_DEPLOYED, {"run_id": target.run.run_id, "dataset": target.dataset, "notice": told})
    clean_up(target, situation, services)
    documents.write(store, CHAMPION, champion)  # last: without it, the next pass does all of this again
    return True


def clean_up(champion: Deployment, situation: Situation, services: Services[Settings]) -> None:
    """Delete the oldest endpoint configs and their models, beyond those kept for going back."""
    app = services.settings.app_name
    needed = {d.run.endpoint_config for d in (champion, situation.desired) if d}
    for config in superfluous(services.hosting.endpoint_configs(f"{app}-"), needed, services.settings.keep_configs):
        services.hosting.delete_endpoint_config(config)
        services.hosting.delete_model(Run.from_name(app, config).model)
