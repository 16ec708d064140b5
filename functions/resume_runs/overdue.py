"""What is overdue for a run, judged from its documents and its newest jobs."""

from dataclasses import dataclass

from dropspot.evaluation_record import EvaluationRecord, Progress
from dropspot.pipeline import STEPS, Step
from dropspot.ports import Job, Jobs, ObjectStore
from dropspot.runs import Run
from dropspot.trainings import job_of


@dataclass(frozen=True, slots=True)
class Due:
    """A command that should have been given: its name, and the job that it is about."""

    command: str
    job: str


def newest_step(documents: set[str]) -> Step:
    """Return the step whose job was started last; a run without any document of a job stands before its first."""
    started = [step for step in STEPS.values() if f"{step.name}.json" in documents]
    return started[-1] if started else STEPS["prep"]


def due(step: Step, run: Run, store: ObjectStore, jobs: Jobs) -> Due | None:
    """Return what should have happened since, None while it is on its way; raise NotFoundError for a missing job."""
    record = EvaluationRecord.read(store, run) if step.name == "eval" else None
    if record:
        return _due_of_evaluation(run, Progress.of(record, run, jobs))
    return _due_of(step, run, job_of(step, run, store, jobs))


def _due_of(step: Step, run: Run, job: Job) -> Due | None:
    name = run.name(step.name)
    if job.status == "Completed":
        return Due(step.next_command, name)
    return Due("record_failure", name) if job.has_failed else None


def _due_of_evaluation(run: Run, progress: Progress) -> Due | None:
    """An evaluation is written down before its jobs are started, and over when each of them is."""
    if progress.is_missing_a_job:
        return Due("start_evaluation", run.training_job)
    if progress.candidate and progress.candidate.has_failed:
        return Due("record_failure", run.transform_job)
    return Due("deploy_model", run.transform_job) if progress.has_ended else None
