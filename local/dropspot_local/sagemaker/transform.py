"""Batch transform jobs: one served model asked about every object below a prefix, or that a manifest lists."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dropspot_local.sagemaker import events, models, staging
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.jobs import Job, JobFailedError
from dropspot_local.sagemaker.logs import LogStream
from dropspot_local.sagemaker.serving import InvocationTimeoutError, ModelServer, NotHealthyError
from dropspot_local.sagemaker.state import Record, Records, Site

HEALTHY_WITHIN_SECONDS = 600
DEFAULT_INVOCATION_SECONDS = 600
DEFAULT_RETRIES = 3
DEFAULT_PAYLOAD_MB = 6


LARGEST_PAYLOADS_MB = 100  # of all requests at once


def new_record(site: Site, request: Record) -> Record:
    """The record of a job that has just been asked for; refused where its requests would be too large."""
    each, at_once = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB), request.get("MaxConcurrentTransforms", 1)
    if each * max(1, at_once) > LARGEST_PAYLOADS_MB:
        raise validation(
            f"MaxPayloadInMB of {each}, with MaxConcurrentTransforms of {at_once}, comes to more than the "
            f"{LARGEST_PAYLOADS_MB} MB that are possible."
        )
    now = time.time()
    kept = {name: value for name, value in request.items() if name != "Tags"}
    return {
        **kept,
        "TransformJobArn": site.arn("transform-job", request["TransformJobName"]),
        "TransformJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


class TransformJob(Job):
    """A transform job at work."""

    kind = "transform"
    prefix = "TransformJob"
    log_group = "/aws/sagemaker/TransformJobs"
    describe_event = staticmethod(events.transform_detail)

    def __init__(self, site: Site, records: Records, clients: Clients, record: Record) -> None:
        super().__init__(site, records, clients, record)
        self._model = dict(models.find(site, records, record["ModelName"]))  # it may be deleted while the job runs

    @property
    def role(self) -> str:
        """A transform job works under its model's role."""
        return str(self._model["ExecutionRoleArn"])

    def work(self) -> dict[str, Any]:
        """Serve the model, ask it about every input, write `<output path>/<input's relative key>.out`."""
        bucket, names = self._inputs()
        log, data_log = self.open_log(), self.open_log("/data-log")
        server = ModelServer(self.site, self.s3, self._model, self.folder, log, self.record.get("Environment", {}))
        watcher = threading.Thread(target=self._cancel_when_stopped, args=(server,), daemon=True)
        watcher.start()
        finished = False
        try:
            server.start(HEALTHY_WITHIN_SECONDS)
            self.update(TransformStartTime=time.time())
            data_log.write(f"[sagemaker logs]: {len(names)} inputs, MaxConcurrentTransforms={self._parallel}")
            with ThreadPoolExecutor(self._parallel) as pool:
                reasons = pool.map(
                    lambda key: self._transform(server, staging.S3Location(bucket, key), names[key], data_log), names
                )
                failures = [reason for reason in reasons if reason]
            finished = True
        except NotHealthyError:
            if not self.stop_requested.is_set():
                raise JobFailedError(
                    "AlgorithmError: The container didn't pass the ping health check. See job logs for more information"
                ) from None
            failures = []
        finally:
            server.close(2 if self.abandoned else 30)
            log.close()
            data_log.close()
        if finished and failures and not self.stop_requested.is_set():
            raise JobFailedError(failures[0])
        return {}

    def _inputs(self) -> tuple[str, dict[str, str]]:
        """The bucket, and each input's key with its path in the output."""
        data = self.record["TransformInput"]["DataSource"]["S3DataSource"]
        if data["S3DataType"] == "ManifestFile":
            manifest = staging.read_manifest(self.s3, data["S3Uri"])
            return manifest.start.bucket, {manifest.key(name): name for name in manifest.names}
        source = staging.S3Location.parse(data["S3Uri"])
        names = {key: staging.relative_name(source.key, key) for key in staging.list_keys(self.s3, source)}
        if not names:
            raise JobFailedError(f"ClientError: No S3 objects found under S3 URL {source.uri}")
        return source.bucket, names

    @property
    def _parallel(self) -> int:
        return self.record.get("MaxConcurrentTransforms") or 1

    def _cancel_when_stopped(self, server: ModelServer) -> None:
        while self.status == "InProgress":
            if self.stop_requested.wait(0.2):
                break
        server.cancel()

    def _transform(self, server: ModelServer, source: staging.S3Location, name: str, data_log: LogStream) -> str | None:
        """One input. Returns why it failed, None when it didn't."""
        if self.stop_requested.is_set():
            return None
        settings = self.record.get("ModelClientConfig", {})
        about = f"[sagemaker logs]: {source.bucket}/{source.key}"
        try:
            body = b"".join(staging.read_object(self.s3, source))
        except staging.StagingError as error:  # it was there when the inputs were listed
            data_log.write(f"{about}: {error}")
            return "ClientError: See job logs for more information"
        if len(body) > self.record.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) * 1024**2 > 0:
            data_log.write(f"{about}: Too much data for max payload size")
            return "ClientError: Too much data for max payload size. See job logs for more information"
        headers = {"Content-Type": self.record["TransformInput"].get("ContentType", "application/octet-stream")}
        if accept := self.record["TransformOutput"].get("Accept"):
            headers["Accept"] = accept
        reason = ""
        for _ in range(1 + settings.get("InvocationsMaxRetries", DEFAULT_RETRIES)):
            try:
                server.ensure_running(HEALTHY_WITHIN_SECONDS)
                answer = server.invoke(
                    body, headers, settings.get("InvocationsTimeoutInSeconds", DEFAULT_INVOCATION_SECONDS)
                )
            except (InvocationTimeoutError, NotHealthyError) as error:
                data_log.write(f"{about}: Fail to connect to the algorithm: {error}")
                reason = "AlgorithmError: See job logs for more information"
                continue
            if answer.status == 200:
                self._write(name, answer.body)
                return None
            data_log.write(f"{about}: Bad HTTP status received from algorithm: {answer.status}")
            data_log.write(f"{about}: {answer.body[:1024].decode('utf-8', 'replace')}")
            if answer.status < 500:  # asking again would get the same answer
                return "ClientError: See job logs for more information"
            reason = "AlgorithmError: See job logs for more information"
        return reason

    def _write(self, name: str, body: bytes) -> None:
        output = staging.S3Location.parse(self.record["TransformOutput"]["S3OutputPath"])
        target = output.join(f"{name}.out")
        self.s3.put_object(Bucket=target.bucket, Key=target.key, Body=body)
