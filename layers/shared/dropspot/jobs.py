"""Starting a run's job so that doing it twice does it once."""

from dropspot import documents
from dropspot.errors import InvalidInputError
from dropspot.failures import fail_run
from dropspot.ports import JobKind, Request
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import Settings


def ensure_started(services: Services[Settings], run: Run, step: str, kind: JobKind, request: Request) -> bool:
    """Start the run's job for `step` and leave its document; return whether this call started it.

    SageMaker never frees a job's name. Where it is taken, the job is in progress or has completed (started already), or
    it has failed: then the run has. A request that SageMaker refuses fails the run too.
    """
    name = request[f"{kind.value}Name"]
    try:
        started = services.jobs.start(kind, request)
    except InvalidInputError as error:
        fail_run(services, run, step, str(error), name)
        return False
    if not started:
        job = services.jobs.describe(kind, name)
        if job.has_failed:
            fail_run(services, run, step, job.reason or f"{name} is {job.status}", name)
            return False
    document = {"job": name, "started_at": documents.timestamp(services.now()), "request": request}
    documents.write_once(services.store, run.key(f"{step}.json"), document)
    return started
