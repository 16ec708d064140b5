"""What is overdue for a run, judged from its documents and its newest job."""

from dropspot.pipeline import STEPS, Step
from dropspot.ports import Job


def newest_step(documents: set[str]) -> Step:
    """Return the step whose job was started last; a run without any document of a job stands before its first."""
    started = [step for step in STEPS.values() if f"{step.name}.json" in documents]
    return started[-1] if started else STEPS["prep"]


def overdue_command(step: Step, job: Job) -> str | None:
    """Return the command that the job's end should have led to, None while it is on its way."""
    if job.status == "Completed":
        return step.next_command
    return "record_failure" if job.has_failed else None
