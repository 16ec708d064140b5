"""Processing jobs: inputs below /opt/ml/processing, the image's entry point, outputs to S3."""

from __future__ import annotations

import json
import threading
import time
from pathlib import PurePosixPath
from typing import Any

from dropspot_local.sagemaker import events, staging
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.jobs import Job, JobFailedError
from dropspot_local.sagemaker.state import Record, Site

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
MESSAGE_BYTES = 1024
CONTINUOUS_UPLOAD_SECONDS = 5
_INTERNAL = ("ProcessingJobStatus", "CreationTime", "LastModifiedTime", "ProcessingStartTime", "Tags")


def check(request: Record) -> None:
    """What the service checks beyond its model: names are unique, local paths are where the container looks."""
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for what, entries, field, transfer in (
        ("input", inputs, "InputName", "S3Input"),
        ("output", outputs, "OutputName", "S3Output"),
    ):
        names = [entry[field] for entry in entries]
        if len(set(names)) != len(names):
            raise validation(f"Duplicate {what} names found in the request: {names}")
        for entry in entries:
            path = PurePosixPath(entry.get(transfer, {}).get("LocalPath") or "")
            if path.parts[:4] != ("/", "opt", "ml", "processing") or len(path.parts) < 5 or ".." in path.parts:
                raise validation(
                    f"LocalPath of {what} {entry[field]} must be below /opt/ml/processing, but is '{path}'"
                )


def new_record(site: Site, request: Record) -> Record:
    """The record of a job that has just been asked for."""
    now = time.time()
    kept = {name: value for name, value in request.items() if name != "Tags"}
    return {
        **kept,
        "ProcessingJobArn": site.arn("processing-job", request["ProcessingJobName"]),
        "ProcessingJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


class ProcessingJob(Job):
    """A processing job at work."""

    kind = "processing"
    prefix = "ProcessingJob"
    log_group = "/aws/sagemaker/ProcessingJobs"
    describe_event = staticmethod(events.processing_detail)

    def work(self) -> dict[str, Any]:
        """Stage in, run, read the exit message, stage out."""
        application = self.record["AppSpecification"]
        image = self.site.images.find(application["ImageUri"])
        command = application.get("ContainerEntrypoint") or image.command(application["ImageUri"], "process")
        for entry in self.record.get("ProcessingInputs", []):
            source = entry["S3Input"]
            listed = source["S3DataType"] == "ManifestFile"
            download = staging.download_manifest if listed else staging.download_prefix
            download(self.s3, source["S3Uri"], self.local(source["LocalPath"]))
        outputs = [output["S3Output"] for output in self.record.get("ProcessingOutputConfig", {}).get("Outputs", [])]
        for output in outputs:
            self.local(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        (self.root / "output").mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        self.update(ProcessingStartTime=time.time())

        running = threading.Event()
        continuous = [output for output in outputs if output["S3UploadMode"] == "Continuous"]
        uploader = threading.Thread(target=self._upload_while, args=(running, continuous), daemon=True)
        uploader.start()
        limit = self.record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
        try:
            code = self.run_container(
                [*command, *application.get("ContainerArguments", [])],
                [
                    image.environment,
                    self.record.get("Environment", {}),
                    {
                        "AWS_REGION": self.site.region,
                        "PROCESSING_JOB_NAME": self.name,
                        "PROCESSING_JOB_ARN": self.arn,
                    },
                ],
                seconds=limit,
            )
        finally:
            running.set()
            uploader.join()
        fields = self._exit_message()
        if code is None:
            self.stop_requested.set()  # the time was over: the job ends as Stopped, too
            return fields
        if code != 0:
            with self.records.lock:
                self.record.update(fields)
            raise JobFailedError(f"AlgorithmError: {fields.get('ExitMessage', '')}, exit code: {code}")
        for output in outputs:
            staging.upload_folder(self.s3, self.local(output["LocalPath"]), output["S3Uri"])
        return fields

    def _upload_while(self, stopped: threading.Event, outputs: list[Record]) -> None:
        while outputs and not stopped.wait(CONTINUOUS_UPLOAD_SECONDS):
            for output in outputs:
                staging.upload_folder(self.s3, self.local(output["LocalPath"]), output["S3Uri"])

    def _exit_message(self) -> dict[str, str]:
        file = self.root / "output" / "message"
        if not file.is_file():
            return {}
        try:
            text = file.read_bytes()[:MESSAGE_BYTES].decode("utf-8")
        except UnicodeDecodeError:
            raise JobFailedError("ClientError: /opt/ml/output/message isn't UTF-8") from None
        return {"ExitMessage": text.strip()} if text.strip() else {}

    def _write_configuration(self) -> None:
        folder = self.root / "config"
        folder.mkdir(parents=True, exist_ok=True)
        job = {name: value for name, value in self.record.items() if name not in _INTERNAL}
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
        (folder / "processingjobconfig.json").write_text(json.dumps(job, indent=1), encoding="utf-8")
        (folder / "resourceconfig.json").write_text(json.dumps(hosts), encoding="utf-8")
