"""Training jobs: channels in, `train`, model.tar.gz and output.tar.gz out, checkpoints kept in step."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from functools import cached_property
from typing import Any

from dropspot.algorithm_metrics import METRICS
from dropspot_local.images import BUILT_IN_IMAGE
from dropspot_local.sagemaker import events, staging
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.jobs import Job, JobFailedError
from dropspot_local.sagemaker.metrics import MetricReader
from dropspot_local.sagemaker.spot import WAIT_EXCEEDED, SpotCapacity
from dropspot_local.sagemaker.state import Record, Records, Site
from dropspot_local.sagemaker.training_hosts import TrainingHost, run_on_all, training_hosts
from dropspot_local.sagemaker.training_request import MESSAGES

logger = logging.getLogger("dropspot_local")

FAILURE_CHARACTERS = 1024
CHECKPOINT_SYNC_SECONDS = 5


class TrainingJob(Job):
    """A training job at work."""

    kind = "training"
    prefix = "TrainingJob"
    log_group = "/aws/sagemaker/TrainingJobs"
    describe_event = staticmethod(events.training_detail)
    _last_status: str | None = None

    def __init__(self, site: Site, records: Records, clients: Clients, record: Record) -> None:
        super().__init__(site, records, clients, record)
        self._capacity = SpotCapacity(record)

    @property
    def grace_seconds(self) -> float:
        """None for a container whose instance was taken away."""
        return 0 if self._capacity.taken.is_set() else super().grace_seconds

    def interrupt(self, seconds: float) -> None:
        """Take the spot capacity away while the job trains; there is some again after so many seconds."""
        with self.records.lock:
            if not self.record.get("EnableManagedSpotTraining"):
                raise validation(f"The training job {self.name} doesn't run on spot capacity.")
            if self.status != "InProgress" or self.record["SecondaryStatus"] != "Training":
                raise validation(
                    f"The training job {self.name} is not in Training but {self.record['SecondaryStatus']}."
                )
            self._capacity.take_away(seconds)

    @cached_property
    def _hosts(self) -> list[TrainingHost]:
        return training_hosts(self.folder, self.record["ResourceConfig"].get("InstanceCount", 1))

    def stop(self) -> None:
        """Ask the job to end as Stopped."""
        with self.records.lock:
            if self.status == "InProgress":
                self._enter("Stopping")
        super().stop()

    def work(self) -> dict[str, Any]:
        """Stage in, train, stage out."""
        algorithm = self.record["AlgorithmSpecification"]
        image = self.site.images.find(algorithm["TrainingImage"])
        command = algorithm.get("ContainerEntrypoint") or image.command(algorithm["TrainingImage"], "train")
        self._transition("Downloading")
        for host in self._hosts:
            host.stage_in(self.s3, self.record, self._hosts)
        self._transition("Training", TrainingStartTime=self.record.get("TrainingStartTime", time.time()))
        definitions = algorithm.get("MetricDefinitions") or [
            {"Name": name, "Regex": regex}
            for name, regex in METRICS.items()
            if BUILT_IN_IMAGE.fullmatch(algorithm["TrainingImage"])
        ]
        metrics = MetricReader(definitions)
        service = {"AWS_REGION": self.site.region, "TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self.arn}
        seconds = self._capacity.begin()

        def run(host: TrainingHost, broken: threading.Event) -> int | None:
            with host.pipes:
                return self.run_container(
                    [*command, *algorithm.get("ContainerArguments", [])],
                    [image.environment, self.record.get("Environment", {}), service],
                    host.machine(self._hosts),
                    seconds=seconds,
                    on_line=metrics.read,
                    broken_off=[host.pipes.failed, self._capacity.taken, broken],
                )

        running = threading.Event()
        checkpoints = threading.Thread(target=self._sync_checkpoints_while, args=(running,), daemon=True)
        checkpoints.start()
        try:
            last, code = run_on_all(self._hosts, run)
        finally:
            self._capacity.end()
            running.set()
            checkpoints.join()
        if code is None and self._capacity.taken.is_set() and not self.stop_requested.is_set():
            return self._start_again()
        fields: dict[str, Any] = {"FinalMetricDataList": metrics.final()} if metrics.final() else {}
        with self.records.lock:
            self.record.update(fields)
        if self.abandoned:
            return fields
        starved = [host.pipes.reason for host in self._hosts if host.pipes.failed.is_set()]
        cut_off = bool(starved) and not self.stop_requested.is_set()
        if code is None and not cut_off and not self.stop_requested.is_set():
            self._last_status = self._capacity.exceeded
            self.stop_requested.set()
        if cut_off or code not in (0, None):
            said = last.failure()[:FAILURE_CHARACTERS].strip()
            reason = starved[0] if cut_off else f"AlgorithmError: {said}, exit code: {code}"
            self._upload_of_failed(reason)
            raise JobFailedError(reason)
        self._upload_checkpoints()
        if code == 0:
            self._transition("Uploading")
        self._upload_archive("output/data", "output")
        model = self._upload_archive("model", "model")
        return {**fields, "ModelArtifacts": {"S3ModelArtifacts": model}} if model else fields

    def _start_again(self) -> dict[str, Any]:
        """After an interruption: a fresh instance, and the checkpoints that had reached S3 by then."""
        self._transition("Interrupted")
        shutil.rmtree(self.folder, ignore_errors=True)
        if not self._capacity.wait(self.stop_requested):
            if not self.stop_requested.is_set():
                self._last_status = WAIT_EXCEEDED
                self.stop_requested.set()
            return {}
        self._transition("Starting")
        return self.work()

    def end(self, status: str) -> dict[str, Any]:
        """Enter the last secondary status. Returns end times, and the seconds altogether and on an instance."""
        self._enter(self._last_status if status == "Stopped" and self._last_status else status)
        now = time.time()
        with self.records.lock:
            self.record["SecondaryStatusTransitions"][-1]["EndTime"] = now
            started = self.record.get("TrainingStartTime", now)
        seconds = max(1, round(now - started))
        billable = max(1, round(self._capacity.trained))
        return {**super().end(status), "TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billable}

    def _enter(self, secondary: str) -> None:
        now = time.time()
        with self.records.lock:
            transitions = self.record["SecondaryStatusTransitions"]
            transitions[-1]["EndTime"] = now
            transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]})
            self.record["SecondaryStatus"] = secondary

    def _transition(self, secondary: str, **fields: Any) -> None:
        with self.records.lock:
            if self.status != "InProgress":
                return
            self._enter(secondary)
            self.update(**fields)

    def _sync_checkpoints_while(self, stopped: threading.Event) -> None:
        while "CheckpointConfig" in self.record and not stopped.wait(CHECKPOINT_SYNC_SECONDS):
            self._upload_checkpoints()

    def _upload_checkpoints(self) -> None:
        for host in self._hosts:
            host.upload_checkpoints(self.s3, self.record)

    def _upload_of_failed(self, reason: str) -> None:
        """Send what a failed job leaves behind; that this fails too is no reason to hide the first one."""
        try:
            self._upload_checkpoints()
            self._upload_archive("output/data", "output")
        except staging.StagingError as error:
            logger.warning("The training job %s failed (%s), and then: %s", self.name, reason, error)

    def _upload_archive(self, folder: str, name: str) -> str | None:
        archive = self.folder / f"{name}.tar.gz"
        if not staging.pack([host.root / folder for host in self._hosts], archive):
            return None
        output = staging.S3Location.parse(self.record["OutputDataConfig"]["S3OutputPath"])
        target = output.join(f"{self.name}/output/{name}.tar.gz").uri
        staging.upload_file(self.s3, archive, target)
        return target
