"""Where a processing container finds its input and leaves its output, below one root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ContainerPaths:
    """The folders of one processing job; `root` is /opt/ml in SageMaker."""

    root: Path

    @property
    def dataset(self) -> Path:
        return self.root / "processing" / "input" / "dataset"

    @property
    def plan(self) -> Path:
        return self.root / "processing" / "input" / "plan" / "plan.json"

    @property
    def prepared(self) -> Path:
        return self.root / "processing" / "output" / "prepared"

    @property
    def report(self) -> Path:
        return self.root / "processing" / "output" / "report"

    @property
    def work(self) -> Path:
        """Parent of the scratch folder: the job's own volume, since a container's /tmp is small."""
        return self.root / "processing"

    @property
    def message(self) -> Path:
        """The file whose first kilobyte SageMaker shows as the job's ExitMessage."""
        return self.root / "output" / "message"
