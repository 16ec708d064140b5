"""Bring the endpoint closer to what it should be, one action a pass; the only function that touches it."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from decision import Action, decide, takes_images
from deployment import Outcome, Settings, act, observe
from dropspot.errors import TransientError
from dropspot.services import Services, aws_services
from dropspot.settled import note
from promotion import tidy
from telling import tell

logger, metrics = Logger(), Metrics()


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    try:
        reconcile(services)
    finally:
        # Whatever has gone wrong with the endpoint: images come in exactly while it answers, and it is known who does.
        situation = observe(services)
        champion = situation.champion.run if situation.champion else None
        note(services.store, situation.endpoint, champion, services.now())
        keep_intake(takes_images(situation), services)
    try:
        tidy(situation, services)
    except TransientError as error:
        logger.warning("Clean-up put off", reason=str(error))  # the next pass, in a minute, tries again


def reconcile(services: Services[Settings]) -> None:
    """Do the one thing that is due; where the stack's parameters can't be, anything but ask for an endpoint."""
    situation = observe(services)
    action, target = decide(situation), situation.target
    objection = services.settings.objection
    held = objection and action in {Action.CREATE, Action.UPDATE, Action.REPLACE}
    outcome = Outcome(changed=False) if held else act(action, situation, services)
    run_id = target.run.run_id if target else ""
    if trouble := objection or outcome.trouble:
        logger.error("Endpoint held back", action=action.value, run_id=run_id, reason=trouble)
        metrics.add_metric("ChangesRefused", MetricUnit.Count, 1)
    # That something was asked for disproves no trouble: only that it is as it should be does.
    is_as_wanted = action is Action.PROMOTE or (action is Action.WAIT and target is None)
    if trouble or (is_as_wanted and not outcome.failure):
        tell(services, trouble)
    if outcome.failure:
        logger.error("Deployment failed", run_id=run_id, step="deploy", reason=outcome.failure)
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
    elif outcome.changed:
        logger.info("Endpoint reconciled", action=action.value, run_id=run_id)
        metrics.add_metric("ModelsDeployed" if action is Action.PROMOTE else "EndpointChanges", MetricUnit.Count, 1)


def keep_intake(wanted: bool, services: Services[Settings]) -> None:
    """Open or close the image queue, also where a stack update has put the template's value back."""
    mapping_id = services.settings.image_mapping_id
    if services.intake.is_open(mapping_id) == wanted:
        return
    try:
        services.intake.set_open(mapping_id, wanted)
    except TransientError as error:
        logger.warning("Image queue in between two states", reason=str(error))  # the next pass, in a minute, sees to it
        return
    logger.info("Image queue opened" if wanted else "Image queue closed")
