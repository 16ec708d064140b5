"""`dropspot train`: the detector container's training on files of this machine, in its own environment; no cloud."""

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from detector.artifacts import DESCRIPTION, Description
from dropspot import hyperparameters
from dropspot.errors import InvalidInputError
from dropspot.plan import DETECTOR, Instance, PlanDefaults, TrainingPlan
from dropspot.prepared import Prepared, hyperparameters_for
from dropspot_cli import prepared_folders
from dropspot_cli.detector_server import CODE
from dropspot_cli.project import Project
from dropspot_cli.training_display import TrainingDisplay
from dropspot_cli.training_results import LOG, Result, check_free, put, scratch_folder, summary

# What training must find in File mode, for each output: the channels and the content type SageMaker would state
_CHANNELS = {
    "recordio": (("train", "validation"), "application/x-recordio"),
    "image": (("train", "train_annotation", "validation", "validation_annotation"), "image/jpeg"),
}
# The pipeline's parameters that a plan lies over; nothing here reads them, and epochs are left to the recipe
_HERE = PlanDefaults(instance=Instance("ml.m5.xlarge", 1))
_SHOWN_LINES = 5  # of the log of a training that ended without a word


def train(
    project: Project,
    prepared: Path,
    out: Path,
    console: Console,
    errors: Console,
    *,
    plan: Path | None = None,
    changes: Sequence[str] = (),
) -> int:
    """Train on what `dropspot prepare` wrote, leave the model and its curve in `out`, and return the exit code.

    `changes` are hyperparameters as name=value, which take precedence over the plan's. `out` changes only when the
    training is over. Ctrl-C ends the training before its next step, as SageMaker would: the best weights so far are
    the model, and the exit code is 0; a second one ends it at once and leaves everything as it was. Raises
    InvalidInputError, with one sentence, for data, a plan or hyperparameters that can't be trained with and for an
    `out` that holds anything else than an earlier training's result.
    """
    python = project.program("detector-train", "python")
    channels = prepared_folders.channels_folder(prepared)
    facts = prepared_folders.facts(channels)
    names = prepared_folders.class_names(channels)
    _check_output(facts, channels)
    chosen = chosen_hyperparameters(facts, plan, changes)
    out = out.resolve()
    _check_apart(channels, out)
    check_free(out)
    with scratch_folder(out) as scratch:
        root = scratch / "ml"
        lay_out(root, channels, facts.output, chosen)
        begun = time.monotonic()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(project.root / part) for part in CODE),
            "PYTHONUNBUFFERED": "1",
            "DROPSPOT_ML_ROOT": str(root),
        }
        epochs = int(chosen.get("epochs", str(hyperparameters.defaults(extensions=True)["epochs"])))
        job = _Job([str(python), "-m", "detector.train"], environment, scratch / LOG)
        with TrainingDisplay(console, epochs) as display:
            job.follow(display.feed, display.say)
        if job.exit_code:
            return _fail(job, root, errors)
        if not (root / "model" / DESCRIPTION).is_file() or (job.signum and not display.epochs and _has_result(out)):
            kept = "; the earlier training's result stays" if _has_result(out) else ": there is no model"
            errors.print(
                f"[red]dropspot:[/] training was stopped before its first epoch was over{kept}", soft_wrap=True
            )
            return 128 + (job.signum or signal.SIGTERM)
        model = Description.read(root / "model")
        result = Result(
            hyperparameters=chosen,
            classes=names,
            epochs=tuple(display.epochs),
            best_epoch=model.best_epoch,
            validation_map=model.validation_map,
            stopped=job.signum is not None,
            seconds=round(time.monotonic() - begun, 1),
        )
        put(result, root / "model", scratch / LOG, out)
    console.print(escape(summary(result, out)), soft_wrap=True)
    return 0


def _has_result(out: Path) -> bool:
    """Whether an earlier training left its model in `out`."""
    return (out / "model").exists()


def chosen_hyperparameters(facts: Prepared, plan: Path | None, changes: Sequence[str]) -> dict[str, str]:
    """Return the hyperparameters as start_training sends them to this container, `changes` laid over the plan."""
    stated = plan.read_bytes() if plan is not None else b"{}"
    read = TrainingPlan.parse(stated, _HERE, DETECTOR)
    return hyperparameters_for(
        replace(read, hyperparameters=read.hyperparameters | parse_changes(changes)), facts, DETECTOR
    )


def parse_changes(words: Sequence[str]) -> dict[str, str]:
    """Read name=value words; raise InvalidInputError for one that is none, or names what can't be chosen."""
    changes = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise InvalidInputError(f"'{word}' is no hyperparameter: write it as name=value")
        if name in hyperparameters.COMPUTED:
            raise InvalidInputError(f"hyperparameter {name} is computed from the data set and can't be set")
        changes[name] = value
    hyperparameters.parse(changes, extensions=True)
    return changes


def _check_output(facts: Prepared, channels: Path) -> None:
    if facts.output not in _CHANNELS:
        raise InvalidInputError(
            f"the data in {channels} were written as {facts.output}, which only a SageMaker pipe can stream: prepare"
            ' them with "output": "recordio" or "image" in the plan'
        )
    for name in _CHANNELS[facts.output][0]:
        if not (channels / name).is_dir():
            raise InvalidInputError(f"{channels / name} is missing: prepare the data again")


def _check_apart(channels: Path, out: Path) -> None:
    whole = channels.parent if channels.name == "prepared" else channels
    if out == whole or whole in out.parents or out in whole.parents:
        raise InvalidInputError(f"the output folder {out} and the prepared data in {whole} must lie apart")


def lay_out(root: Path, channels: Path, output: str, chosen: Mapping[str, str]) -> None:
    """Make `root` what /opt/ml is to a training job: the channels as links, and its configuration files."""
    names, content_type = _CHANNELS[output]
    data, config = root / "input" / "data", root / "input" / "config"
    data.mkdir(parents=True)
    config.mkdir()
    for name in names:
        (data / name).symlink_to(channels / name, target_is_directory=True)
    channel = {
        "ContentType": content_type,
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    documents = {
        "hyperparameters": chosen,
        "inputdataconfig": dict.fromkeys(names, channel),
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    for name, document in documents.items():
        (config / f"{name}.json").write_text(json.dumps(document))


class _Job:
    """The training's process, its log kept in a file. `signum` is the signal that stopped it, None where none did."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self.signum: int | None = None
        self.exit_code = 0
        self.last_lines: deque[str] = deque(maxlen=_SHOWN_LINES)

    def follow(self, on_line: Callable[[str], None], say: Callable[[str], None]) -> None:
        """Run it to its end. The first SIGINT, SIGTERM or SIGHUP asks it to end, another one kills it."""
        # a session of its own: Ctrl-C must reach it as SageMaker's SIGTERM does, and once
        with (
            subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            ) as process,
            self._log.open("w") as log,
        ):
            assert process.stdout is not None  # noqa: S101 - it is a pipe

            def stop(signum: int, _frame: FrameType | None) -> None:
                if self.signum is not None:
                    process.kill()
                    return
                self.signum = signum
                process.terminate()

            with _handled(stop):
                announced = False
                for line in process.stdout:
                    log.write(line)
                    self.last_lines.append(line.rstrip("\n"))
                    on_line(line)
                    if self.signum is not None and not announced:
                        announced = True
                        say("stopping: the best weights so far become the model (Ctrl-C again: give them up)")
                self.exit_code = process.wait()


@contextmanager
def _handled(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _fail(job: _Job, root: Path, errors: Console) -> int:
    """Tell why there is no model and return the exit code."""
    failure = root / "output" / "failure"
    if job.signum is not None and job.exit_code < 0:
        told, code = "training was stopped before there was a model", 128 + job.signum
    elif failure.is_file():
        told, code = " ".join(failure.read_text().split()), 1
    else:
        for line in job.last_lines:
            errors.print(line, markup=False, soft_wrap=True)
        told, code = f"the training ended without a word (exit code {job.exit_code}); its last lines are above", 1
    errors.print(f"[red]dropspot:[/] {escape(told)}", soft_wrap=True)
    return code
