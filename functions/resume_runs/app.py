"""Every ten minutes: hand runs and backfills that could go on, and don't, to the function that takes them on."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropspot import backfills, documents
from dropspot.backfills import BACKFILL_DUE, Backfill
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.pipeline import STEP_DUE
from dropspot.ports import PENDING
from dropspot.runs import OPEN_PREFIX, Run, RunStatus
from dropspot.services import Services, aws_services
from dropspot.settings import Settings
from overdue import due, newest_step

logger, metrics = Logger(), Metrics()


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext, services: Services[Settings] | None = None) -> None:
    services = services or aws_services(Settings)
    stuck = []
    for name in services.store.children(OPEN_PREFIX):
        try:
            look_at(Run.from_id(services.settings.app_name, name), services)
        except InvalidInputError:
            logger.warning("Foreign object among the open runs", key=f"{OPEN_PREFIX}{name}")
        except Exception:
            # One run's trouble must not keep the others from being resumed; the failure below still counts and alarms.
            logger.exception("Run not looked at", run_id=name)
            stuck.append(name)
    for name in services.store.children(backfills.OPEN_PREFIX):
        try:
            backfill = Backfill.from_id(services.settings.app_name, name)
        except InvalidInputError:
            logger.warning("Foreign object among the open backfills", key=f"{backfills.OPEN_PREFIX}{name}")
            continue
        services.bus.put(BACKFILL_DUE, {"job": backfill.name})
    if stuck:
        raise TransientError(f"look at the open runs: {len(stuck)} failed, {stuck[0]} first")


def look_at(run: Run, services: Services[Settings]) -> None:
    """Hand the run on where an event went missing; forget it once it has ended."""
    names = set(services.store.children(run.key("")))
    state, step = RunStatus.of(names).state, newest_step(names)
    if state == "awaiting_approval":
        detail = decided_package(services, run)
    elif state == "running":
        try:
            found = due(step, run, services.store, services.jobs)
        except NotFoundError:
            # The run has begun and its first job hasn't: its message is still in the queue, or among the dead letters.
            logger.warning("Job missing", run_id=run.run_id, job=run.name(step.name))
            return
        detail = {"command": found.command, "job": found.job} if found else None
    else:
        services.store.delete(run.open_marker)
        return
    if detail:
        services.bus.put(STEP_DUE, detail)
        logger.info("Run resumed", run_id=run.run_id, command=detail["command"])
        metrics.add_metric("RunsResumed", MetricUnit.Count, 1)


def decided_package(services: Services[Settings], run: Run) -> dict[str, str] | None:
    """Return the command for an approval or rejection that nobody has heard of, None while it is waited for."""
    arn = documents.read(services.store, run.key("package.json"))["arn"]
    try:
        package = services.registry.package(arn)
    except NotFoundError:
        logger.warning("Package missing", run_id=run.run_id, package=arn)  # nobody can approve it any more
        services.store.delete(run.open_marker)
        return None
    return None if package.approval == PENDING else {"command": "apply_approval", "package": arn}
