"""How a run fails: once, with one sentence, in its record and on the bus."""

import shlex

from dropspot import documents
from dropspot.pipeline import STEPS
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import Settings

RUN_FAILED = "Run Failed"


def fail_run(services: Services[Settings], run: Run, step: str, message: str) -> bool:
    """Record that the run has failed at `step` and announce it; return False where it was recorded before.

    The event goes out before the record is written: a crash in between repeats the announcement and loses nothing.
    """
    key = run.key("failure.json")
    if services.store.head(key) is not None:
        return False
    dataset = (documents.read_or_none(services.store, run.key("run.json")) or {}).get("dataset", "")
    failure = {
        "step": step,
        "message": one_sentence(message),
        "remedy": remedy(dataset),
        "job": run.name(step) if step in STEPS else "",
        "at": documents.timestamp(services.now()),
    }
    again = f" To start it again: {failure['remedy']}" if failure["remedy"] else ""
    sentence = notice(f"Run {run.run_id} failed at {step}: {message}{again}")
    services.bus.put(RUN_FAILED, {"run_id": run.run_id, "dataset": dataset, **failure, "notice": sentence})
    return documents.write_once(services.store, key, failure)


def remedy(dataset: str) -> str:
    """Return the command that starts a new attempt, safe to paste into a shell; empty where no data set is known."""
    return f"dropspot retrain {'-- ' if dataset.startswith('-') else ''}{shlex.quote(dataset)}" if dataset else ""


def one_sentence(message: str) -> str:
    """Return the message on one line, of a length that a notification can carry."""
    line = " ".join(message.split())
    return line if len(line) <= 1000 else f"{line[:999]}…"


def notice(message: str) -> str:
    """Return the message as a notification may carry it.

    EventBridge escapes nothing that an input transformer puts into a sentence: a double quote or a backslash would make
    invalid JSON, which is dropped.
    """
    return one_sentence(message).replace('"', "'").replace("\\", "/")
