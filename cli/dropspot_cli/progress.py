"""How far a run has come, read from its documents: one stage after another, each with its time and its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dropspot import documents, endpoint
from dropspot.errors import DropspotError
from dropspot.ports import ObjectStore
from dropspot.runs import Run
from dropspot_cli.console import counted

STAGES = ("prepare", "train", "evaluate", "deploy")
# the document that says a stage has begun
_BEGUN = {"prepare": "prep", "train": "train", "evaluate": "eval", "deploy": "verdict"}
_STAGE_OF_STEP = {"prep": "prepare", "train": "train", "eval": "evaluate"}


class RunFailedError(DropspotError):
    """The run has ended without a model in service that it should have put there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run's documents, by name, said at one moment; `wanted` is the run that should be in service."""

    documents: Mapping[str, Mapping[str, Any]]
    wanted: str = ""

    @property
    def failure(self) -> Mapping[str, Any] | None:
        return self.documents.get("failure")

    @property
    def verdict(self) -> Mapping[str, Any] | None:
        return self.documents.get("verdict")

    @property
    def is_superseded(self) -> bool:
        return "superseded" in self.documents

    @property
    def is_deployed(self) -> bool:
        # deploy_model writes its verdict after it has said what should be in service
        return "champion" in self.documents and self.verdict is not None

    @property
    def is_kept_out(self) -> bool:
        """Whether the run was judged and its model is not to be put into service."""
        verdict = self.verdict
        return verdict is not None and not self.is_deployed and (verdict["status"] != "passed" or not self.is_wanted)

    @property
    def awaits_approval(self) -> bool:
        """Whether the model has passed the gate and nobody has decided on it."""
        return self.verdict is not None and "package" in self.documents and "approval" not in self.documents

    @property
    def is_wanted(self) -> bool:
        return self.wanted == self.documents.get("run", {}).get("run_id")

    @property
    def has_ended(self) -> bool:
        return self.failure is not None or self.is_superseded or self.is_deployed or self.is_kept_out

    @property
    def stage(self) -> str:
        """The stage that is going on, or in which the run has ended."""
        if self.failure is not None:
            step = str(self.failure.get("step", "prep"))
            return _STAGE_OF_STEP.get(step, "deploy")
        return next((stage for stage in reversed(STAGES) if _BEGUN[stage] in self.documents), "prepare")

    def begun(self, stage: str) -> datetime | None:
        """When a stage began, None where it hasn't; the time before the first job counts as preparation."""
        name = "run" if stage == "prepare" else _BEGUN[stage]
        document = self.documents.get(name, {})
        moment = next((document[key] for key in ("started_at", "created_at", "at") if key in document), None)
        return datetime.fromisoformat(moment) if moment else None

    def ended(self, stage: str) -> datetime | None:
        """When a stage was over, None while it goes on."""
        if stage != "deploy":
            return self.begun(STAGES[STAGES.index(stage) + 1])
        moment = self.documents.get("champion", {}).get("in_service_since")
        return datetime.fromisoformat(moment) if moment else None

    def seconds(self, stage: str, now: datetime | None = None) -> float | None:
        """How long a stage took, or has taken by `now`; None where it hasn't begun."""
        begun = self.begun(stage)
        if begun is None:
            return None
        return max(0.0, ((self.ended(stage) or now or datetime.now(UTC)) - begun).total_seconds())


def snapshot(store: ObjectStore, run: Run, before: Snapshot | None = None) -> Snapshot:
    """Return where the run is now. A document says the same for ever, so one that `before` holds isn't read again."""
    found = dict(before.documents) if before else {}
    for child in store.children(run.key("")):
        name = child.removesuffix(".json")
        if name != child and name not in found and name != "listing":
            found[name] = documents.read_or_none(store, run.key(child)) or {}
    desired = documents.read_or_none(store, endpoint.DESIRED) if "verdict" in found else None
    return Snapshot(found, str((desired or {}).get("run_id", "")))


def preparation_outcome(report: Mapping[str, Any], folder: str) -> str:
    """Return what the preparation made of the data set, in one line; no loss and no warning goes unsaid.

    `folder` is where the report lies, which has each of them by name.
    """
    images, splits = report["images"], report["splits"]
    boxes = sum(split["boxes"] for split in splits.values())
    parts = ", ".join(f"{splits[name]['images']} {name}" for name in ("train", "validation", "test") if name in splits)
    line = f"{counted(images['used'], 'picture')} ({parts}), {counted(boxes, 'box', 'boxes')}, "
    line += f"{counted(len(report['classes']), 'class', 'classes')}; "
    if left_out := report.get("left_out"):
        reasons = ", ".join(f"{number} {code}" for code, number in sorted(left_out.items(), key=lambda item: -item[1]))
        line += f"left out: {reasons} (each is named in {folder}/quarantine.jsonl)"
    else:
        line += "nothing left out"
    if warnings := report.get("warnings"):
        line += f"; {counted(len(warnings), 'warning')}, to be read in {folder}/report.html"
    return line
