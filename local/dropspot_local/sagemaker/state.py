"""What one account knows in one region: the records of jobs, models and endpoints, in the shape Describe answers with.

Everything lives in memory and goes with the server, as the bucket does. One lock guards all records: holders only read
and write them, and never wait for a process or a request while they hold it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropspot_local.images import ImageTable

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """Where the plug-in runs."""

    root: Path  # the project's checkout
    state: Path  # its state folder
    endpoint_url: str  # of the embedded cloud
    images: ImageTable
    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        """The name of a SageMaker resource of this account, e.g. of kind "training-job"."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"


@dataclass(slots=True)
class Records:
    """All resources by kind and name; tags by ARN."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    processing_jobs: dict[str, Record] = field(default_factory=dict)
    training_jobs: dict[str, Record] = field(default_factory=dict)
    tuning_jobs: dict[str, Record] = field(default_factory=dict)
    transform_jobs: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)
    endpoint_configs: dict[str, Record] = field(default_factory=dict)
    endpoints: dict[str, Record] = field(default_factory=dict)
    model_package_groups: dict[str, Record] = field(default_factory=dict)
    model_packages: dict[str, Record] = field(default_factory=dict)  # by ARN
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
