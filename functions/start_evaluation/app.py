"""A Training job of ours has completed: make its model and run the held-out pictures through it."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot import documents
from dropspot.errors import InvalidInputError
from dropspot.events import JobCommand
from dropspot.failures import fail_run
from dropspot.jobs import ensure_started
from dropspot.ports import JobKind
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.serving_requests import model_request
from dropspot.settings import Settings as BaseSettings
from dropspot.trainings import training_of
from transform import transform_job_request

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    training_image: str
    sagemaker_role_arn: str
    evaluation_instance_type: str
    model_subnets: tuple[str, ...]
    model_security_groups: tuple[str, ...]


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    settings = services.settings
    run = Run.from_name(settings.app_name, JobCommand.from_event(event).job)
    if services.store.head(run.key("eval.json")) is not None:
        return  # a late event: the run's model may have been removed since, and must not come back
    dataset = documents.read(services.store, run.key("run.json"))["dataset"]
    training = training_of(run, services.store, services.jobs)
    try:
        model = model_request(run, dataset, training.model_data, settings)
        documents.write_once(services.store, run.key("model.json"), {"model": run.model, "request": model})
        services.hosting.create_model(model)
        request = transform_job_request(run, dataset, settings)
        started = ensure_started(services, run, "eval", JobKind.TRANSFORM, request)
    except InvalidInputError as error:
        fail_run(services, run, "eval", str(error))
        logger.error("Run failed", run_id=run.run_id, step="eval", reason=str(error))
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    if started:
        logger.info("Evaluation started", run_id=run.run_id, job=run.transform_job)
        metrics.add_metric("EvaluationsStarted", MetricUnit.Count, 1)
