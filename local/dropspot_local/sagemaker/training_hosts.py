"""The hosts of a training job: a container's private /opt/ml tree each, its configuration, channels and checkpoints."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropspot_local.sagemaker import staging
from dropspot_local.sagemaker.jobs import Machine
from dropspot_local.sagemaker.pipes import ChannelPipes
from dropspot_local.sagemaker.state import Record
from dropspot_local.sagemaker.streams import channel_stream
from dropspot_local.sagemaker.training_request import PIPE, channel_document, input_mode

ADDRESSES = "DROPSPOT_HOST_ADDRESSES"
"""Tells a container where its job's hosts are: `algo-1=127.1.1.1,algo-2=127.1.1.2`. The service has name servers."""
_NETWORKS = itertools.count()


@dataclass(eq=False)
class TrainingHost:
    """One host; `root` is its container's /opt/ml."""

    name: str
    root: Path
    address: str  # on loopback, and no other job's
    pipes: ChannelPipes = field(init=False)
    _brought: dict[Path, int] = field(default_factory=dict)

    def stage_in(self, s3: Any, record: Record, hosts: Sequence[TrainingHost]) -> None:
        """Bring in what the container finds at its start; channels in Pipe mode flow once `pipes` is entered."""
        place, streams = hosts.index(self), []
        for channel in record.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            share = slice(place, None, len(hosts)) if sharded else slice(None)
            if input_mode(record, channel) == PIPE:
                streams.append(channel_stream(s3, channel, share))
                continue
            staging.download_prefix(s3, source["S3Uri"], self.root / "input" / "data" / channel["ChannelName"], share)
        for name in ("model", "output/data"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._bring_checkpoints(s3, record)
        self._write_configuration(record, hosts)
        self.pipes = ChannelPipes(streams, self.root / "input" / "data")

    def machine(self, hosts: Sequence[TrainingHost]) -> Machine:
        """Where the container runs; one of several is told where the others are, and to leave them their cores."""
        if len(hosts) == 1:
            return Machine(self.root, self.name)
        addresses = ",".join(f"{host.name}={host.address}" for host in hosts)
        cores = max(1, (os.cpu_count() or 1) // len(hosts))
        return Machine(self.root, self.name, {ADDRESSES: addresses, "OMP_NUM_THREADS": str(cores)})

    def failure(self) -> str:
        """What the container wrote about its failure."""
        file = self.root / "output" / "failure"
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    def upload_checkpoints(self, s3: Any, record: Record) -> None:
        """Send what the container has written; what it was given and left alone is another host's to change."""
        if location := record.get("CheckpointConfig"):
            folder = self._checkpoint_folder(location)
            changed = [file for file in staging.files(folder) if self._brought.get(file) != file.stat().st_mtime_ns]
            staging.upload_files(s3, folder, changed, location["S3Uri"])

    def _bring_checkpoints(self, s3: Any, record: Record) -> None:
        if location := record.get("CheckpointConfig"):
            folder = self._checkpoint_folder(location)
            folder.mkdir(parents=True, exist_ok=True)
            prefix = staging.S3Location.parse(location["S3Uri"])
            if next(staging.list_keys(s3, prefix), None) is not None:
                staging.download_prefix(s3, location["S3Uri"], folder)
            self._brought = {file: file.stat().st_mtime_ns for file in staging.files(folder)}

    def _checkpoint_folder(self, location: Record) -> Path:
        return self.root / Path(location.get("LocalPath", "/opt/ml/checkpoints")).relative_to("/opt/ml")

    def _write_configuration(self, record: Record, hosts: Sequence[TrainingHost]) -> None:
        folder = self.root / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        names = [host.name for host in hosts]
        group = "homogeneousCluster"
        instance_type = record["ResourceConfig"].get("InstanceType", "")
        documents: dict[str, Any] = {
            "hyperparameters": record.get("HyperParameters", {}),
            "inputdataconfig": {
                channel["ChannelName"]: channel_document(channel, input_mode(record, channel))
                for channel in record.get("InputDataConfig", [])
            },
            "resourceconfig": {
                "current_host": self.name,
                "current_instance_type": instance_type,
                "current_group_name": group,
                "hosts": names,
                "instance_groups": [
                    {"instance_group_name": group, "instance_type": instance_type, "hosts": names},
                ],
                "network_interface_name": "lo",
            },
        }
        if location := record.get("CheckpointConfig"):
            documents["checkpointconfig"] = {"LocalPath": "/opt/ml/checkpoints", **location}
        for name, document in documents.items():
            (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def training_hosts(folder: Path, count: int) -> list[TrainingHost]:
    """The hosts of a job, each with a tree below the job's folder."""
    network = next(_NETWORKS) % 254 + 1
    return [
        TrainingHost(name, folder / name, f"127.1.{network}.{number}")
        for number, name in ((number, f"algo-{number}") for number in range(1, count + 1))
    ]


def run_on_all(
    hosts: Sequence[TrainingHost], run: Callable[[TrainingHost, threading.Event], int | None]
) -> tuple[TrainingHost, int | None]:
    """Run the container of every host at once. Returns the first that failed and its exit code.

    Where none failed: the first host, and 0, or None when one was stopped. `run` returns the same for one host; the
    event that it gets is set when another has failed.
    """
    broken, failed = threading.Event(), []

    def one(host: TrainingHost) -> int | None:
        try:
            code = run(host, broken)
        except BaseException:
            broken.set()
            raise
        if code not in (0, None) and not broken.is_set():
            broken.set()
            failed.append((host, code))
        return code

    with ThreadPoolExecutor(len(hosts), thread_name_prefix="training-host") as pool:
        futures = [pool.submit(copy_context().run, one, host) for host in hosts]
    codes = [future.result() for future in futures]
    return failed[0] if failed else (hosts[0], None if None in codes else 0)
