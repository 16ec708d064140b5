"""An evaluation has ended: judge it, and say what should be in service. Or a model was approved: say so then."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from approval import apply_approval
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.events import JobCommand, PackageCommand
from dropspot.failures import fail_run
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from gate import PASSED
from judging import judge_run

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    served_dataset: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    if event["command"] == "apply_approval":
        on_approval(PackageCommand.from_event(event), services)
    else:
        on_evaluation(JobCommand.from_event(event), services)


def on_evaluation(command: JobCommand, services: Services[Settings]) -> None:
    run = Run.from_name(services.settings.app_name, command.job)
    try:
        verdict = judge_run(run, services)
    except InvalidInputError as error:
        fail_run(services, run, "eval", str(error))
        logger.error("Run failed", run_id=run.run_id, step="eval", reason=str(error))
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    if verdict:
        logger.info("Model judged", run_id=run.run_id, status=verdict.status, rule=verdict.rule)
        metrics.add_metric("ModelsPassed" if verdict.status == PASSED else "ModelsHeldBack", MetricUnit.Count, 1)


def on_approval(command: PackageCommand, services: Services[Settings]) -> None:
    try:
        applied = apply_approval(command.package, services)
    except (InvalidInputError, NotFoundError) as error:
        # A version that somebody else has put into the group, or that is gone by now.
        logger.warning("Approval not applied", package=command.package, reason=str(error))
        return
    if applied:
        logger.info("Approval applied", package=command.package, status=applied)
        metrics.add_metric(f"Models{applied}", MetricUnit.Count, 1)
