"""What processing, training and transform jobs have in common: one thread each, a private folder, one final status."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from dropspot_local.images import UnknownImageError
from dropspot_local.sagemaker import events
from dropspot_local.sagemaker.authorization import role_session
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.container import ContainerProcess, container_environment
from dropspot_local.sagemaker.logs import LogStream
from dropspot_local.sagemaker.staging import StagingError
from dropspot_local.sagemaker.state import Record, Records, Site

logger = logging.getLogger("dropspot_local")

STOP_GRACE_SECONDS = 120
"""What SageMaker gives a container between SIGTERM and SIGKILL."""
ENDED = ("Completed", "Failed", "Stopped")
INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."


class JobFailedError(Exception):
    """The job has failed; the text becomes its FailureReason."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a container runs: its /opt/ml, the host's name, and what its environment has on this machine only."""

    root: Path
    host: str = "algo-1"
    environment: dict[str, str] = field(default_factory=dict)


class Job(ABC):
    """One job. `record` is what Describe answers; whatever changes it holds the records' lock."""

    kind: ClassVar[str]  # as in events.DETAIL_TYPES
    prefix: ClassVar[str]  # of the record's fields: ProcessingJob, TrainingJob, TransformJob
    log_group: ClassVar[str]
    describe_event: Callable[[Record], dict[str, Any]]  # the detail of this kind's state-change event

    def __init__(self, site: Site, records: Records, clients: Clients, record: Record) -> None:
        self.site, self.records, self.record = site, records, record
        self._service_clients = clients
        self.stop_requested = threading.Event()
        self.abandoned = False
        self.folder = site.state / "work" / f"{self.kind}-{self.name}"  # holds the container's /opt/ml
        self.root = self.folder / "ml"
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name=f"job-{self.name}", daemon=True
        )

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.record[f"{self.prefix}Name"])

    @cached_property
    def s3(self) -> Any:
        """The client for the job's data, with the rights of its role."""
        return Clients(self.site, role_session(self.site, self.role, self.name))["s3"]

    @property
    def role(self) -> str:
        """The ARN of the role that the job works under."""
        return str(self.record["RoleArn"])

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return str(self.record[f"{self.prefix}Arn"])

    @property
    def status(self) -> str:
        """InProgress, Stopping, or one of ENDED."""
        return str(self.record[f"{self.prefix}Status"])

    @property
    def grace_seconds(self) -> float:
        """What a container that is stopped gets between SIGTERM and SIGKILL."""
        return STOP_GRACE_SECONDS

    def start(self) -> None:
        """Begin; the call returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the job to end as Stopped."""
        with self.records.lock:
            if self.status != "InProgress":
                return
            self.update(**{f"{self.prefix}Status": "Stopping"})
        self.stop_requested.set()

    def abandon(self, seconds: float) -> None:
        """End the job's processes because the cloud goes away: no status, no events."""
        self.abandoned = True
        self.stop_requested.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=seconds)

    def update(self, **changes: Any) -> None:
        """Change the record and send the state-change event that tells of it."""
        with self.records.lock:
            self.record.update(changes, LastModifiedTime=time.time())
            detail = self.describe_event(self.record)
        if not self.abandoned:
            events.emit(self.kind, self.arn, detail)

    @abstractmethod
    def work(self) -> dict[str, Any]:
        """Do the job. Returns further fields for the record; a job that fails raises JobFailedError or StagingError."""

    def end(self, status: str) -> dict[str, Any]:
        """Note that the job has come to this final status. Returns fields for the record."""
        logger.info("The %s job %s ended: %s", self.kind, self.name, status)
        return {f"{self.kind.capitalize()}EndTime": time.time()}

    def _run(self) -> None:
        status, fields = "Failed", {}
        try:
            fields = self.work()
            status = "Stopped" if self.stop_requested.is_set() else "Completed"
        except UnknownImageError as error:
            fields = {"FailureReason": f"ClientError: {error}"}
        except (JobFailedError, StagingError) as error:
            fields = {"FailureReason": str(error)}
        except Exception:
            logger.exception("The %s job %s broke off", self.kind, self.name)
            fields = {"FailureReason": INTERNAL_ERROR}
        if self.stop_requested.is_set() and status == "Failed":
            status, fields = "Stopped", {name: value for name, value in fields.items() if name != "FailureReason"}
        shutil.rmtree(self.folder, ignore_errors=True)
        fields = {**self.end(status), **fields, f"{self.prefix}Status": status}
        self.update(**fields)

    def open_log(self, suffix: str = "", host: str = "algo-1") -> LogStream:
        """A log stream of one host of this job, named as the service names it."""
        return LogStream(
            self._service_clients["logs"], self.log_group, f"{self.name}/{host}-{int(time.time())}{suffix}"
        )

    def run_container(
        self,
        command: Sequence[str],
        environments: Sequence[Mapping[str, str]],
        machine: Machine | None = None,
        *,
        seconds: float,
        on_line: Callable[[str], None] | None = None,
        broken_off: Sequence[threading.Event] = (),
    ) -> int | None:
        """Run the container's command, with environments of which later ones win. Returns its exit code.

        None when it was stopped: because that was requested, `seconds` were over, or one of `broken_off` was set.
        """
        machine = machine or Machine(self.root)
        log = self.open_log(host=machine.host)

        def write(line: str) -> None:
            log.write(line)
            if on_line is not None:
                on_line(line)

        environment = container_environment(machine.root, *environments) | machine.environment
        try:
            try:
                process = ContainerProcess(command, environment, machine.root, write)
            except OSError as error:
                write(f"{command[0]}: {error.strerror}")
                raise JobFailedError(f"ClientError: {command[0]} could not be started: {error.strerror}") from error
            ended = process.wait(seconds, self.stop_requested, *broken_off)
            process.end(2 if self.abandoned else self.grace_seconds)
            return process.exit_code if ended else None
        finally:
            log.close()

    def local(self, path: str) -> Path:
        """Where a path below /opt/ml of the container is on this machine."""
        relative = Path(path).relative_to("/opt/ml")
        return self.root / relative
