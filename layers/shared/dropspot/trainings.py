"""The training of a run as SageMaker knows it: its Training job, or the tuning job that took that one's place."""

from dropspot import documents
from dropspot.pipeline import Step
from dropspot.ports import Job, JobKind, Jobs, ObjectStore
from dropspot.runs import Run


def training_of(run: Run, store: ObjectStore, jobs: Jobs) -> Job:
    """Return the job that trains, or trained, the run's model; raise NotFoundError."""
    document = documents.read_or_none(store, run.key("train.json"))
    if document is not None and document["job"] == run.tuning_job:
        return jobs.describe(JobKind.TUNING, run.tuning_job)
    return jobs.describe(JobKind.TRAINING, run.training_job)


def job_of(step: Step, run: Run, store: ObjectStore, jobs: Jobs) -> Job:
    """Return the job of a step of the run; raise NotFoundError."""
    if step.kind is JobKind.TRAINING:
        return training_of(run, store, jobs)
    return jobs.describe(step.kind, run.name(step.name))
