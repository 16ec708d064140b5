"""Starting a job so that doing it twice does it once."""

from typing import Any

from dropspot import documents
from dropspot.errors import InvalidInputError
from dropspot.ports import JobKind, Request
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import Settings


def ensure_started(
    services: Services[Settings], run: Run, step: str, kind: JobKind, request: Request, **noted: Any
) -> bool:
    """Start the run's job for `step` and leave its document, as `start_once` does."""
    return start_once(services, run.key(f"{step}.json"), kind, request, **noted)


def start_once(services: Services[Settings], key: str, kind: JobKind, request: Request, **noted: Any) -> bool:
    """Start a job and leave its document under the key, with what is `noted`; return whether this call started it.

    SageMaker never frees a job's name. Where it is taken, the job is in progress or has completed (started already), or
    it has failed. InvalidInputError then, and where SageMaker refuses the request.
    """
    started = start(services, kind, request)
    name = request[f"{kind.value}Name"]
    document = {"job": name, "started_at": documents.timestamp(services.now()), "request": request, **noted}
    documents.write_once(services.store, key, document)
    return started


def start(services: Services[Any], kind: JobKind, request: Request) -> bool:
    """Start the job and return whether this call did; raise InvalidInputError where it is refused or has failed."""
    name = request[f"{kind.value}Name"]
    if services.jobs.start(kind, request):
        return True
    job = services.jobs.describe(kind, name)
    if job.has_failed:
        raise InvalidInputError(job.reason or f"{name} was {job.status.lower()}")
    return False
