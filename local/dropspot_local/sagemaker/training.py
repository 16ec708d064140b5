"""Training jobs: channels in, `train`, model.tar.gz and output.tar.gz out, checkpoints kept in step."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from typing import Any

from dropspot.algorithm_metrics import METRICS
from dropspot_local.images import BUILT_IN_IMAGE
from dropspot_local.sagemaker import events, staging
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.jobs import Job, JobFailedError
from dropspot_local.sagemaker.metrics import MetricReader
from dropspot_local.sagemaker.pipes import ChannelPipes
from dropspot_local.sagemaker.spot import WAIT_EXCEEDED, SpotCapacity
from dropspot_local.sagemaker.state import Record, Records, Site
from dropspot_local.sagemaker.streams import ChannelStream, channel_stream
from dropspot_local.sagemaker.training_request import (
    MESSAGES,
    PIPE,
    channel_document,
    input_mode,
)

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
        pipes = ChannelPipes(self._stage_in(), self.root / "input" / "data")
        self._transition("Training", TrainingStartTime=self.record.get("TrainingStartTime", time.time()))
        definitions = algorithm.get("MetricDefinitions") or [
            {"Name": name, "Regex": regex}
            for name, regex in METRICS.items()
            if BUILT_IN_IMAGE.fullmatch(algorithm["TrainingImage"])
        ]
        metrics = MetricReader(definitions)
        running = threading.Event()
        checkpoints = threading.Thread(target=self._sync_checkpoints_while, args=(running,), daemon=True)
        checkpoints.start()
        try:
            with pipes:
                code = self.run_container(
                    [*command, *algorithm.get("ContainerArguments", [])],
                    image.environment,
                    self.record.get("Environment", {}),
                    {
                        "AWS_REGION": self.site.region,
                        "TRAINING_JOB_NAME": self.name,
                        "TRAINING_JOB_ARN": self.arn,
                    },
                    seconds=self._capacity.begin(),
                    on_line=metrics.read,
                    broken_off=[pipes.failed, self._capacity.taken],
                )
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
        cut_off = pipes.failed.is_set() and not self.stop_requested.is_set()
        if code is None and not cut_off and not self.stop_requested.is_set():
            self._last_status = self._capacity.exceeded
            self.stop_requested.set()
        if cut_off or code not in (0, None):
            reason = pipes.reason if cut_off else f"AlgorithmError: {self._failure()}, exit code: {code}"
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

    def _stage_in(self) -> list[ChannelStream]:
        """Bring in everything but the channels in Pipe mode, whose streams are returned."""
        streams = []
        for channel in self.record.get("InputDataConfig", []):
            if input_mode(self.record, channel) == PIPE:
                streams.append(channel_stream(self.s3, channel))
                continue
            source = channel["DataSource"]["S3DataSource"]["S3Uri"]
            staging.download_prefix(self.s3, source, self.root / "input" / "data" / channel["ChannelName"])
        for name in ("model", "output/data"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        if location := self.record.get("CheckpointConfig"):
            self._checkpoint_folder.mkdir(parents=True, exist_ok=True)
            prefix = staging.S3Location.parse(location["S3Uri"])
            if next(staging.list_keys(self.s3, prefix), None) is not None:
                staging.download_prefix(self.s3, location["S3Uri"], self._checkpoint_folder)
        self._write_configuration()
        return streams

    def _write_configuration(self) -> None:
        folder = self.root / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        channels = {
            channel["ChannelName"]: channel_document(channel, input_mode(self.record, channel))
            for channel in self.record.get("InputDataConfig", [])
        }
        resources = {
            "current_host": "algo-1",
            "current_instance_type": self.record["ResourceConfig"].get("InstanceType", ""),
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "network_interface_name": "lo",
        }
        documents: dict[str, Any] = {
            "hyperparameters": self.record.get("HyperParameters", {}),
            "inputdataconfig": channels,
            "resourceconfig": resources,
        }
        if location := self.record.get("CheckpointConfig"):
            documents["checkpointconfig"] = {"LocalPath": "/opt/ml/checkpoints", **location}
        for name, document in documents.items():
            (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")

    @property
    def _checkpoint_folder(self) -> Any:
        return self.local(self.record["CheckpointConfig"].get("LocalPath", "/opt/ml/checkpoints"))

    def _sync_checkpoints_while(self, stopped: threading.Event) -> None:
        while "CheckpointConfig" in self.record and not stopped.wait(CHECKPOINT_SYNC_SECONDS):
            self._upload_checkpoints()

    def _upload_checkpoints(self) -> None:
        if "CheckpointConfig" in self.record:
            staging.upload_folder(self.s3, self._checkpoint_folder, self.record["CheckpointConfig"]["S3Uri"])

    def _upload_of_failed(self, reason: str) -> None:
        """Send what a failed job leaves behind; that this fails too is no reason to hide the first one."""
        try:
            self._upload_checkpoints()
            self._upload_archive("output/data", "output")
        except staging.StagingError as error:
            logger.warning("The training job %s failed (%s), and then: %s", self.name, reason, error)

    def _upload_archive(self, folder: str, name: str) -> str | None:
        archive = self.folder / f"{name}.tar.gz"
        if not staging.pack(self.root / folder, archive):
            return None
        output = staging.S3Location.parse(self.record["OutputDataConfig"]["S3OutputPath"])
        target = output.join(f"{self.name}/output/{name}.tar.gz").uri
        staging.upload_file(self.s3, archive, target)
        return target

    def _failure(self) -> str:
        file = self.root / "output" / "failure"
        return file.read_text(encoding="utf-8", errors="replace")[:FAILURE_CHARACTERS].strip() if file.is_file() else ""
