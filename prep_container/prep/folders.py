"""Where a preparation finds its input and leaves its output: a processing container's folders, or a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRATCH_NAME = ".preparing"  # below a user's output folder while a preparation runs


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders and files of one preparation.

    `dataset` holds the data set and `references` the pictures that it names in other places, as `<bucket>/<key>`; of
    `references` and `plan` either may be missing. `prepared` and `report` are written, `work` is the parent of the
    scratch folder. `message` is the file whose first kilobyte SageMaker shows as the job's ExitMessage, None outside
    a container. `dataset_uri` and `prepared_uri` are where `dataset` came from and `prepared` will go in S3, with a
    slash at the end, "" where that isn't known.
    """

    dataset: Path
    references: Path
    plan: Path
    prepared: Path
    report: Path
    work: Path
    message: Path | None = None
    dataset_uri: str = ""
    prepared_uri: str = ""

    @classmethod
    def of_container(cls, root: Path, environment: Mapping[str, str] | None = None) -> Folders:
        """The folders of a processing job; `root` is /opt/ml in SageMaker. `environment` may state the two URIs."""
        processing, stated = root / "processing", environment or {}
        return cls(
            dataset=processing / "input" / "dataset",
            references=processing / "input" / "references",
            plan=processing / "input" / "plan" / "plan.json",
            prepared=processing / "output" / "prepared",
            report=processing / "output" / "report",
            work=processing,  # the job's own volume, since a container's /tmp is small
            message=root / "output" / "message",
            dataset_uri=_folder_uri(stated.get("DROPSPOT_DATASET_URI", "")),
            prepared_uri=_folder_uri(stated.get("DROPSPOT_PREPARED_URI", "")),
        )

    @classmethod
    def standalone(cls, dataset: Path, out: Path, plan: Path, *, prepared_uri: str = "") -> Folders:
        """The folders of a preparation on a user's machine: everything it writes is below `out`/.preparing."""
        scratch = out / SCRATCH_NAME
        return cls(
            dataset=dataset,
            references=scratch / "references",
            plan=plan,
            prepared=scratch / "prepared",
            report=scratch / "report",
            work=scratch,
            prepared_uri=_folder_uri(prepared_uri),
        )


def _folder_uri(uri: str) -> str:
    return uri if not uri or uri.endswith("/") else f"{uri}/"
