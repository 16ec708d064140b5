"""Following a run live: a line for every stage, an epoch at a time, and the verdict at the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from dropspot import documents
from dropspot.errors import TransientError
from dropspot.ports import REJECTED, ObjectStore
from dropspot.runs import Run
from dropspot_cli.console import counted, duration
from dropspot_cli.job_logs import JobLog, LogReader
from dropspot_cli.metric_lines import Epoch, EpochReader
from dropspot_cli.progress import STAGES, RunFailedError, Snapshot, preparation_outcome, snapshot

_TITLES = {
    "prepare": "preparing the data",
    "train": "training",
    "evaluate": "evaluating",
    "deploy": "going into service",
}


@dataclass(slots=True)
class Watcher:
    """Tells a run's story on a console. Each stage is told once, whenever the watching began."""

    store: ObjectStore
    run: Run
    console: Console
    open_log: Callable[[str], LogReader] = JobLog
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    patience: float = 6 * 3600  # seconds without news, after which watching is given up
    _told: set[str] = field(default_factory=set)
    _epochs: list[Epoch] = field(default_factory=list)
    _reader: EpochReader = field(default_factory=EpochReader)
    _log: LogReader | None = None

    def follow(self) -> Snapshot:
        """Follow the run to its end and return where it ended; raise RunFailedError where it failed or was refused."""
        self.console.print(f"Run [bold]{self.run.run_id}[/]")
        now = snapshot(self.store, self.run)
        news, heard = -1, self.clock()
        with self.console.status("waiting for the first job") as status:
            while True:
                self._tell(now)
                if now.has_ended:
                    break
                if len(now.documents) + len(self._epochs) > news:
                    news, heard = len(now.documents) + len(self._epochs), self.clock()
                elif self.clock() - heard >= self.patience:
                    raise TransientError(
                        f"Nothing has been heard of the run {self.run.run_id} for {duration(self.patience)}, while"
                        f" {_TITLES[now.stage]}: look at the job's log, then `dropspot watch {self.run.run_id}` again."
                    )
                self._show(status, now)
                self.sleep(1.0)
                now = snapshot(self.store, self.run, now)
        return self._end(now)

    def _show(self, status: Status, now: Snapshot) -> None:
        stage = now.stage
        seconds = now.seconds(stage, datetime.now(UTC)) or 0.0
        status.update(f"{_TITLES[stage]} for {duration(seconds)}")

    def _tell(self, now: Snapshot) -> None:
        for stage in STAGES:
            if stage == "train":
                self._tell_epochs(now)
            if stage not in self._told and now.ended(stage) is not None:
                self._told.add(stage)
                self._line("[green]✓[/]", stage, now.seconds(stage), self._outcome(stage, now))

    def _line(self, mark: str, stage: str, seconds: float | None, text: str) -> None:
        took = "" if seconds is None else duration(seconds)
        self.console.print(f"{mark} {stage:<9}{took:>12}   {text}", soft_wrap=True)

    def _outcome(self, stage: str, now: Snapshot) -> str:
        if stage == "prepare":
            report = documents.read_or_none(self.store, self.run.key("report", "report.json"))
            if not report:
                return ""
            return escape(preparation_outcome(report, f"s3://{self.store.bucket}/{self.run.key('report')}"))
        if stage == "train":
            if not self._epochs:
                return ""
            best = max(epoch.map50 for epoch in self._epochs)
            return f"{counted(len(self._epochs), 'epoch')}, best validation mAP {best:.3f}"
        if stage == "evaluate":
            verdict = now.verdict or {}
            boxes = f" over {counted(verdict['boxes'], 'box', 'boxes')}" if "boxes" in verdict else ""
            return f"mAP@0.5 {verdict.get('map50', 0):.3f} on the held-out pictures{boxes}"
        return f"answers as {self.run.run_id}"

    def _tell_epochs(self, now: Snapshot) -> None:
        if "train" not in now.documents or "train" in self._told:
            return
        if self._log is None:
            self._log = self.open_log(self.run.training_job)
        for line in self._log.new_lines():
            epoch = self._reader.feed(line)
            if epoch is not None:
                self._epochs.append(epoch)
                loss = "" if epoch.loss is None else f"loss {epoch.loss:7.3f}   "
                self.console.print(
                    f"  epoch {epoch.number + 1:>3}   {loss}validation mAP {epoch.map50:.3f}", style="dim"
                )

    def _end(self, now: Snapshot) -> Snapshot:
        if now.failure is not None:
            stage, message = now.stage, str(now.failure.get("message", "no reason was recorded"))
            self._line("[red]✗[/]", stage, None, escape(message))
            remedy = now.failure.get("remedy")
            again = f" Mend it, then start a new attempt: {remedy}" if remedy else ""
            raise RunFailedError(f"The run {self.run.run_id} failed at '{stage}': {message.rstrip('.')}.{again}")
        if now.is_superseded:
            self.console.print(
                "[yellow]•[/] the data changed while it was being prepared; the new content has a run of its own"
            )
        elif now.awaits_approval:
            decide = f"dropspot approve {self.run.run_id}, or dropspot reject {self.run.run_id}"
            self._line("[yellow]•[/]", "deploy", None, f"waits for approval: {decide}")
        elif now.is_kept_out:
            verdict = now.verdict or {}
            approval, overtaken = (now.documents.get(name, {}) for name in ("approval", "overtaken"))
            rule = str(overtaken.get("message") or approval.get("objection") or verdict.get("rule", ""))
            status = verdict.get("status")
            if approval.get("status") == REJECTED:
                status, rule = "rejected", str(approval.get("note") or "in the model registry")
            self._line("[yellow]•[/]", "deploy", None, escape(f"{status}: {rule}"))
            if verdict.get("status") == "refused":
                raise RunFailedError(f"The model of {self.run.run_id} was refused: {rule}.")
        return now
