"""The documents that a run leaves behind, stage by stage, as the functions write them."""

from dropspot.runs import Run
from dropspot.testing import MemoryStore

REPORT = {
    "classes": [{"class_id": 0, "name": "cat"}, {"class_id": 1, "name": "dog"}],
    "images": {"found": 12, "used": 10, "left_out": 2},
    "splits": {
        "train": {"images": 7, "boxes": 9},
        "validation": {"images": 1, "boxes": 1},
        "test": {"images": 2, "boxes": 2},
    },
    "left_out": {"no_annotation": 1, "corrupt_image": 1},
}


def begun(store: MemoryStore, run: Run, dataset: str = "pets", at: str = "2026-01-01T00:00:00Z") -> None:
    identity = {"run_id": run.run_id, "dataset": dataset, "attempt": "", "cause": "x", "created_at": at}
    store.put_json(run.key("run.json"), identity)
    store.put_json(run.key("listing.json"), [])
    store.put_json(run.key("prep.json"), {"job": run.processing_job, "started_at": at})


def prepared(store: MemoryStore, run: Run) -> None:
    store.put_json(run.key("report", "report.json"), REPORT)
    store.put_json(run.key("train.json"), {"job": run.training_job, "started_at": "2026-01-01T00:00:12Z"})


def trained(store: MemoryStore, run: Run) -> None:
    store.put_json(run.key("eval.json"), {"job": run.transform_job, "started_at": "2026-01-01T00:02:17Z"})


def judged(store: MemoryStore, run: Run, status: str = "passed", rule: str = "good enough") -> None:
    if status == "passed":
        store.put_json("endpoint/desired.json", {"run_id": run.run_id, "dataset": "pets"})
    verdict = {"status": status, "rule": rule, "map50": 0.875, "boxes": 2, "at": "2026-01-01T00:02:25Z"}
    store.put_json(run.key("verdict.json"), verdict)


def awaiting(store: MemoryStore, run: Run, arn: str = "arn") -> None:
    """Judged, and registered for somebody's approval."""
    verdict = {"status": "passed", "rule": "good enough; it waits for approval", "map50": 0.875, "boxes": 2}
    store.put_json(run.key("package.json"), {"arn": arn, "approval": "manual"})
    store.put_json(run.key("verdict.json"), verdict | {"at": "2026-01-01T00:02:25Z"})


def decided(store: MemoryStore, run: Run, status: str, note: str = "", objection: str = "") -> None:
    store.put_json(run.key("approval.json"), {"status": status, "note": note, "objection": objection})


def deployed(store: MemoryStore, run: Run) -> None:
    champion = {"run_id": run.run_id, "in_service_since": "2026-01-01T00:02:55Z"}
    store.put_json(run.key("champion.json"), champion)


def failed(store: MemoryStore, run: Run, step: str, message: str) -> None:
    store.put_json(run.key("failure.json"), {"step": step, "message": message, "remedy": "dropspot retrain pets"})
