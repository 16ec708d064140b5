"""The run: one data set content trained with one plan. Every name and key of the pipeline is computed from it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dropspot.datasets import Listing, slug
from dropspot.errors import InvalidInputError

PREFIX = "runs/"
OPEN_PREFIX = "open-runs/"  # a marker for each run that hasn't ended, so that nobody has to look at all runs
_RUN_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?-[0-9a-f]{10}")
_JOB = re.compile(
    rf"(?P<app>[a-z][a-z0-9]{{1,15}})-(?P<run_id>{_RUN_ID.pattern})-(?P<step>prep|train|eval|evalchamp|model|config)"
)


def digest(*parts: object) -> str:
    """Return the hex SHA-256 of the parts' canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Run:
    """One data set content trained with one plan.

    The id is `<slug>-<10 hex>`: a redelivered event gives the same run, new content or a new attempt another one.
    """

    app: str
    run_id: str

    @classmethod
    def of(cls, app: str, bucket: str, listing: Listing, plan_identity: object, attempt: str = "") -> "Run":
        """Return the run of this content, trained with the plan of that identity."""
        hexadecimal = digest(bucket, listing.dataset, listing.document, plan_identity, attempt)[:10]
        return cls(app, f"{slug(listing.dataset)}-{hexadecimal}")

    @classmethod
    def from_name(cls, app: str, name: str) -> "Run":
        """Return the run to which a job, model or endpoint config belongs; names are parsed from the right."""
        match = _JOB.fullmatch(name)
        if match is None or match["app"] != app:
            raise InvalidInputError(f"{name} is no name of a job of {app}")
        return cls(app, match["run_id"])

    @classmethod
    def from_id(cls, app: str, run_id: str) -> "Run":
        """Return the run with this id; raise InvalidInputError where it is none."""
        if _RUN_ID.fullmatch(run_id) is None:
            raise InvalidInputError(f"{run_id!r} is no run's id")
        return cls(app, run_id)

    def name(self, step: str) -> str:
        """Return the SageMaker name of this run's resource for `step`."""
        return f"{self.app}-{self.run_id}-{step}"

    @property
    def processing_job(self) -> str:
        return self.name("prep")

    @property
    def training_job(self) -> str:
        return self.name("train")

    @property
    def tuning_job(self) -> str:
        """The job that takes the training's place where the plan asks for a search; 32 characters at most."""
        return f"{self.app}-t-{self.run_id[-10:]}"

    @property
    def transform_job(self) -> str:
        return self.name("eval")

    @property
    def champion_transform_job(self) -> str:
        """The job that runs the champion's model over this run's held-out pictures."""
        return self.name("evalchamp")

    @property
    def model(self) -> str:
        return self.name("model")

    @property
    def endpoint_config(self) -> str:
        return self.name("config")

    @property
    def open_marker(self) -> str:
        """Return the key that stands while the run hasn't ended."""
        return f"{OPEN_PREFIX}{self.run_id}"

    def key(self, *parts: str) -> str:
        """Return the key of something that belongs to the run."""
        return f"{PREFIX}{self.run_id}/{'/'.join(parts)}"


# How a run has ended, by the document that says so; the first that is there decides.
_ENDS = {"failure": "failed", "superseded": "superseded", "champion": "deployed", "overtaken": "overtaken"}


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a run stands, read from the documents that it has left behind."""

    state: str
    step: str

    @classmethod
    def of(cls, documents: Mapping[str, object] | set[str]) -> "RunStatus":
        """Return the status; `documents` are the names of the JSON files directly under the run's prefix."""
        names = set(documents)
        step = next(
            (s for s in ("champion", "deploy", "verdict", "eval", "train", "prep") if f"{s}.json" in names), "prep"
        )
        for document, state in _ENDS.items():
            if f"{document}.json" in names:
                return cls(state, step)
        if "verdict.json" in names and "package.json" in names and "approval.json" not in names:
            return cls("awaiting_approval", step)
        if "verdict.json" in names:
            return cls("deploying" if "deploy.json" in names else "judged", step)
        return cls("running", step)
