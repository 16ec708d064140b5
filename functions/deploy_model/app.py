"""The evaluation of a run has ended: score it, judge it, and say what should be in service."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot import documents
from dropspot.desired import want
from dropspot.endpoint import ENDPOINT_DESIRED, MODEL_REFUSED, Deployment
from dropspot.errors import InvalidInputError
from dropspot.events import JobCommand
from dropspot.failures import fail_run, notice
from dropspot.plan import TrainingPlan
from dropspot.runs import Run
from dropspot.services import Services, aws_services
from dropspot.settings import Settings as BaseSettings
from evaluation import evaluate
from gate import NOT_SERVED, PASSED, Verdict, judge

logger, metrics = Logger(), Metrics()


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    served_dataset: str


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    run = Run.from_name(services.settings.app_name, JobCommand.from_event(event).job)
    if services.store.head(run.key("verdict.json")) is not None:
        return  # judged before: a late event must not say anything else of a model that may be in service by now
    try:
        verdict = decide(run, services)
    except InvalidInputError as error:
        fail_run(services, run, "eval", str(error))
        logger.error("Run failed", run_id=run.run_id, step="eval", reason=str(error))
        metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
        return
    logger.info("Model judged", run_id=run.run_id, status=verdict.status, rule=verdict.rule)
    metrics.add_metric("ModelsPassed" if verdict.status == PASSED else "ModelsHeldBack", MetricUnit.Count, 1)


def decide(run: Run, services: Services[Settings]) -> Verdict:
    """Score and judge the run, act on it, and write the verdict last: a run without one is taken up again."""
    store, settings = services.store, services.settings
    identity = documents.read(store, run.key("run.json"))
    plan = TrainingPlan.from_document(documents.read(store, run.key("plan.json")))
    evaluation = evaluate(store, run)
    documents.write(store, run.key("evaluation", "evaluation.json"), evaluation.document)
    verdict = judge(evaluation, plan.gate)
    candidate = Deployment(run, identity["dataset"], identity["created_at"])
    if verdict.status == PASSED:
        objection = want(store, candidate, settings.served_dataset, "passed the gate")
        if objection is None:
            services.bus.put(ENDPOINT_DESIRED, {"run_id": run.run_id})
        else:
            verdict = Verdict(PASSED if objection.is_served else NOT_SERVED, objection.message)
    elif store.head(run.key("verdict.json")) is None:
        told = notice(f"The model of run {run.run_id} doesn't go into service: {verdict.rule}")
        services.bus.put(MODEL_REFUSED, {"run_id": run.run_id, "dataset": candidate.dataset, "notice": told})
    documents.write(
        store,
        run.key("verdict.json"),
        {
            "status": verdict.status,
            "rule": verdict.rule,
            "map50": evaluation.map50,
            "boxes": evaluation.boxes,
            "gate": plan.document["gate"],
            "at": documents.timestamp(services.now()),
        },
    )
    return verdict
