"""A Training job of ours has completed: run the held-out pictures through its model, and the champion's if need be."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot.errors import InvalidInputError
from dropspot.events import JobCommand
from dropspot.failures import fail_run
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from starting import evaluation_record, start_transforms

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    training_image: str
    sagemaker_role_arn: str
    evaluation_instance_type: str
    model_subnets: tuple[str, ...]
    model_security_groups: tuple[str, ...]
    served_dataset: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    settings = services.settings
    run = Run.from_name(settings.app_name, JobCommand.from_event(event).job)
    try:
        started = start_transforms(services, run, evaluation_record(services, run))
    except InvalidInputError as error:
        fail_run(services, run, "eval", str(error))
        logger.error("Run failed", run_id=run.run_id, step="eval", reason=str(error))
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    if started:
        logger.info("Evaluation started", run_id=run.run_id, jobs=started)
        metrics.add_metric("EvaluationsStarted", MetricUnit.Count, 1)
