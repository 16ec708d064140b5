"""SageMaker's jobs in memory."""

from dataclasses import replace

from dropspot.errors import NotFoundError
from dropspot.ports import Job, JobKind, Request
from dropspot.service_models import assert_valid_request


class MemoryJobs:
    """SageMaker's jobs: a name that was used once is never free again, and a request must fit the service's model."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}  # by job name, in the order of their start
        self._jobs: dict[tuple[JobKind, str], Job] = {}

    def start(self, kind: JobKind, request: Request) -> bool:
        assert_valid_request("sagemaker", f"Create{kind.value}", request)
        name = request[f"{kind.value}Name"]
        if (kind, name) in self._jobs:
            return False
        self._jobs[kind, name] = Job(name, "InProgress")
        self.requests[name] = request
        return True

    def describe(self, kind: JobKind, name: str) -> Job:
        if (kind, name) not in self._jobs:
            raise NotFoundError(f"describe {name}: could not find it")
        return self._jobs[kind, name]

    def end(
        self, kind: JobKind, name: str, status: str = "Completed", *, reason: str = "", model_data: str = ""
    ) -> None:
        """Let a started job end, or change to any other status."""
        self._jobs[kind, name] = replace(self.describe(kind, name), status=status, reason=reason, model_data=model_data)
