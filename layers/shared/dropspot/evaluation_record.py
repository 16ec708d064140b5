"""eval.json: which transforms a run's evaluation waits for, and with which champion the candidate is compared.

start_evaluation writes it before it starts anything, so that whoever comes later, again or out of order goes by the
same list.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dropspot import documents
from dropspot.errors import NotFoundError
from dropspot.ports import Job, JobKind, Jobs, ObjectStore, Request
from dropspot.runs import Run

# Whether the champion's own evaluation was over the same held-out pictures as the candidate's.
SAME_PICTURES, OTHER_PICTURES = "same", "other"


@dataclass(frozen=True, slots=True)
class ChampionToBeat:
    """The run in service when the evaluation began; `objection` says why its model can't be evaluated again."""

    run_id: str
    held_out: str
    objection: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """What an evaluation consists of; `transforms` are the requests of its jobs, the candidate's first."""

    started_at: str
    transforms: tuple[Request, ...]
    champion: ChampionToBeat | None

    @classmethod
    def read(cls, store: ObjectStore, run: Run) -> "EvaluationRecord | None":
        """Return the run's record, None where its evaluation has not begun."""
        document = documents.read_or_none(store, run.key("eval.json"))
        return cls.from_document(document) if document else None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "EvaluationRecord":
        champion = document["champion"]
        return cls(
            document["started_at"],
            tuple(document["transforms"]),
            ChampionToBeat(**champion) if champion else None,
        )

    @property
    def document(self) -> dict[str, Any]:
        return {
            "job": self.names[0],
            "started_at": self.started_at,
            "transforms": list(self.transforms),
            "champion": asdict(self.champion) if self.champion else None,
        }

    @property
    def names(self) -> list[str]:
        """The names of the jobs."""
        return [request["TransformJobName"] for request in self.transforms]


@dataclass(frozen=True, slots=True)
class Progress:
    """How the jobs of an evaluation stand; one that was never started is missing."""

    candidate: Job | None
    champion: Job | None
    waits_for_champion: bool

    @classmethod
    def of(cls, record: EvaluationRecord, run: Run, jobs: Jobs) -> "Progress":
        """Ask how the record's jobs stand."""
        found = {name: _described(jobs, name) for name in record.names}
        champion = run.champion_transform_job
        return cls(found[run.transform_job], found.get(champion), champion in found)

    @property
    def is_missing_a_job(self) -> bool:
        return self.candidate is None or (self.waits_for_champion and self.champion is None)

    @property
    def has_ended(self) -> bool:
        """Whether every job has; a candidate's that failed has failed the run, whatever becomes of the champion's."""
        jobs = [self.candidate, self.champion] if self.waits_for_champion else [self.candidate]
        return all(job is not None and (job.has_failed or job.status == "Completed") for job in jobs)


def _described(jobs: Jobs, name: str) -> Job | None:
    try:
        return jobs.describe(JobKind.TRANSFORM, name)
    except NotFoundError:
        return None
