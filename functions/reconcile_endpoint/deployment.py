"""Looking at the endpoint's situation, and acting on it."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from decision import Action, Situation
from dropspot import documents
from dropspot.desired import attempt_at, deployment_failed
from dropspot.endpoint import CHAMPION, DESIRED, ROLLBACK_FAILED, Deployment, asleep_alarm, wanted_in
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.failures import fail_run, notice, one_sentence
from dropspot.ports import Endpoint, Request
from dropspot.preparation import tags
from dropspot.services import Services
from dropspot.serving_requests import endpoint_config_request
from dropspot.settings import Settings as BaseSettings
from guardrails import Guardrails, check_key
from promotion import note_return, promote
from scaling import keep_scaling, stop_scaling
from smoke_test import SmokeTest, smoke_test


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    """What reconcile_endpoint is told; `keep_configs` counts the configs kept for going back."""

    image_mapping_id: str
    keep_configs: int
    endpoint_instance_type: str
    endpoint_instance_count: int
    endpoint_kms_key: str
    inference_topic: str  # of asynchronous endpoints; empty where they answer at once
    async_idle_seconds: int  # after which such an endpoint gives an instance back
    guardrails: dict[str, Any]

    def checked_guardrails(self) -> Guardrails:
        """Return the guardrails; InvalidInputError says which of the stack's parameters can't be."""
        check_key(self.endpoint_kms_key, self.endpoint_instance_type)
        return Guardrails.from_document(self.guardrails, self.endpoint_instance_count)

    @property
    def objection(self) -> str:
        """Why no endpoint can be asked for with the stack's parameters, empty where it can."""
        try:
            self.checked_guardrails()
        except InvalidInputError as error:
            return str(error)
        return ""


def observe(services: Services[Settings]) -> Situation:
    """Return the situation as it is now."""
    store, app = services.store, services.settings.app_name
    champion = documents.read_or_none(store, CHAMPION)

    def asked_at(candidate: Deployment) -> datetime | None:
        moment = attempt_at(store, candidate).get("asked_at")
        return datetime.fromisoformat(moment) if moment else None

    return Situation(
        endpoint=services.hosting.endpoint(services.settings.endpoint_name),
        wanted=wanted_in(app, documents.read_or_none(store, DESIRED)),
        champion=Deployment.from_document(app, champion) if champion else None,
        deployment_failed=partial(deployment_failed, store),
        asked_at=asked_at,
        wants_asynchronous=bool(services.settings.inference_topic),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass came to: whether it changed anything, and why the target's deployment failed, where it did.

    `trouble` is what was refused and is tried again, with each pass.
    """

    changed: bool
    failure: str = ""
    trouble: str = ""


def act(action: Action, situation: Situation, services: Services[Settings]) -> Outcome:
    """Do it."""
    target = situation.target
    if action is Action.DELETE and situation.endpoint:
        failure = blame(situation, situation.endpoint, services)
        done = take_down(situation.endpoint, services)
        return replace(done, failure=failure, trouble=done.trouble or ("" if failure else breakdown(situation)))
    if target is None or action is Action.WAIT:
        return Outcome(changed=False)
    if action is Action.REPLACE:
        return remove(situation, services)
    if action is Action.GIVE_UP:
        reason = situation.endpoint.reason if situation.endpoint else ""
        return fail(services, target, reason or "the endpoint went back to the model before")
    if action is Action.PROMOTE:
        return take_over(target, situation, services)
    return serve(target, situation, services)


def take_over(target: Deployment, situation: Situation, services: Services[Settings]) -> Outcome:
    """Prove the target, which is in service, and record it as champion where it isn't yet."""
    if situation.is_champion(target):
        note_return(services, situation.asked_at(target))
        return scale(situation, services)
    classes = classes_of(services, target)
    # An endpoint that may have no instance answers nobody who waits: there the evaluation's proof must do.
    proof = SmokeTest(0) if services.settings.inference_topic else smoke_test(services, target.run, classes)
    if proof.fault:
        return fail(services, target, proof.fault)
    promote(target, services, classes, proof.pictures)
    return Outcome(changed=True)


def scale(situation: Situation, services: Services[Settings]) -> Outcome:
    """See to it that an asynchronous endpoint scales; what is refused is tried again, each minute."""
    if not services.settings.inference_topic or not situation.endpoint:
        return Outcome(changed=False)
    try:
        return Outcome(changed=keep_scaling(services, situation.endpoint))
    except InvalidInputError as error:
        return Outcome(changed=False, trouble=str(error))


def classes_of(services: Services[Settings], target: Deployment) -> list[str]:
    """Return the names of the target's classes."""
    return list(documents.read(services.store, target.run.key("prepared", "classes.json"))["classes"])


def remove(situation: Situation, services: Services[Settings]) -> Outcome:
    """Delete the endpoint of the other inference mode; the queue is closed first, so that images wait for the next."""
    endpoint, settings = situation.endpoint, services.settings
    if endpoint is None or services.intake.is_open(settings.image_mapping_id):
        return Outcome(changed=False)  # the end of this pass closes it
    return take_down(endpoint, services)


def take_down(endpoint: Endpoint, services: Services[Settings]) -> Outcome:
    """Delete the endpoint and what makes it scale; a refusal is met again with each pass."""
    settings = services.settings
    try:
        if endpoint.is_asynchronous:
            stop_scaling(services, endpoint)
            services.alarms.delete([asleep_alarm(settings.app_name)])
        services.hosting.delete_endpoint(settings.endpoint_name)
    except InvalidInputError as error:
        return Outcome(changed=False, trouble=str(error))
    return Outcome(changed=True)


def blame(situation: Situation, endpoint: Endpoint, services: Services[Settings]) -> str:
    """Fail the deployment whose config brought the endpoint down, and return why."""
    target = situation.target
    if target is None or situation.is_champion(target) or endpoint.config not in {"", target.run.endpoint_config}:
        return ""
    return fail(services, target, endpoint.reason or f"the endpoint is {endpoint.status}").failure


def breakdown(situation: Situation) -> str:
    """Return what is to be told of an endpoint that broke and is made again, with nobody's deployment to blame."""
    endpoint, target = situation.endpoint, situation.target
    if endpoint is None or target is None:
        return ""
    reason = endpoint.reason or "no reason was given"
    return f"it is {endpoint.status} and is made again for run {target.run.run_id}: {reason}"


def fail(services: Services[Settings], target: Deployment, reason: str) -> Outcome:
    """Write down that the target's deployment has failed: its run has, or only this rollback to it."""
    if target.requested_at and services.store.head(target.run.key("champion.json")) is not None:
        told = notice(f"The rollback to run {target.run.run_id} failed: {reason}")
        services.bus.put(ROLLBACK_FAILED, {"run_id": target.run.run_id, "notice": told})
        attempt = attempt_at(services.store, target) | {
            "requested_at": target.requested_at,
            "failed": one_sentence(reason),
            "failed_at": documents.timestamp(services.now()),
        }
        documents.write(services.store, target.run.key("deploy.json"), attempt)
    else:
        fail_run(services, target.run, "deploy", reason)
    return Outcome(changed=True, failure=reason)


def serve(target: Deployment, situation: Situation, services: Services[Settings]) -> Outcome:
    """Ask the endpoint to serve the target. That it was asked is written first: it tells a rollback later."""
    name, endpoint, store = services.settings.endpoint_name, situation.endpoint, services.store
    guardrails = services.settings.checked_guardrails()
    try:
        variant = make_config(target, services)
        request: Request = {"EndpointName": name, "EndpointConfigName": target.run.endpoint_config}
        # Alarms and steps are only for variants of one name. Where that isn't so, SageMaker replaces all at once.
        if endpoint and endpoint.variant == variant:
            for alarm in guardrails.alarm_requests(target.run, name, variant):
                services.alarms.put(alarm)
            request["DeploymentConfig"] = guardrails.deployment_config(target.run)
        attempt: dict[str, Any] = {"endpoint": name, "asked_at": services.now().isoformat(), "request": request}
        attempt |= {"requested_at": target.requested_at} if target.requested_at else {}
        documents.write(store, target.run.key("deploy.json"), attempt)
        if endpoint:
            if services.settings.inference_topic:
                stop_scaling(services, endpoint)
            services.hosting.update_endpoint(request)
        else:
            services.hosting.create_endpoint(request | {"Tags": tags(target.run, target.dataset)})
    except (InvalidInputError, NotFoundError) as error:
        # Refused, or files of the run are gone: for good, unless the endpoint isn't any more as it was when we looked.
        present = services.hosting.endpoint(name)
        if (endpoint and present is None) or (present and present.status != "InService"):
            withdraw(services, target)
            return Outcome(changed=False)
        if situation.is_champion(target):
            return Outcome(changed=False, trouble=str(error))  # it is tried again, each minute
        return fail(services, target, str(error))
    except TransientError:
        withdraw(services, target)
        raise
    return Outcome(changed=True)


def withdraw(services: Services[Settings], target: Deployment) -> None:
    """Write down that the endpoint wasn't asked after all: whatever it does next, it doesn't come back from there."""
    attempt = attempt_at(services.store, target)
    if attempt.pop("asked_at", None):
        documents.write(services.store, target.run.key("deploy.json"), attempt)


def make_config(target: Deployment, services: Services[Settings]) -> str:
    """Make the target's model and endpoint config, where they aren't there, and return the name of its variant.

    Both may have been removed since the run was last in service, and the stack's parameters may have changed.
    """
    hosting, run = services.hosting, target.run
    model = documents.read_or_none(services.store, run.key("model.json"))
    if model:
        hosting.create_model(model["request"])
    request = endpoint_config_request(run, target.dataset, classes_of(services, target), services.settings)
    present = hosting.endpoint_config(run.endpoint_config)
    if present is not None and not says(present, request):
        hosting.delete_endpoint_config(run.endpoint_config)
    hosting.create_endpoint_config(request)
    return str(request["ProductionVariants"][0]["VariantName"])


def says(present: Request, wanted: Request) -> bool:
    """Tell whether a config is the one that is wanted; SageMaker adds what wasn't stated."""
    (stated,), described = wanted["ProductionVariants"], present["ProductionVariants"][0]
    same = all(agree(present.get(name), wanted.get(name)) for name in ("KmsKeyId", "AsyncInferenceConfig"))
    return same and all(described.get(name) == value for name, value in stated.items())


def agree(present: Any, wanted: Any) -> bool:
    """Tell whether a description, at any depth, says what is wanted."""
    if isinstance(present, dict) and isinstance(wanted, dict):
        return all(agree(present.get(name), value) for name, value in wanted.items())
    return bool(present == wanted)
