from typing import Any

import pytest
import run_documents as road

from dropspot.runs import Run
from dropspot.testing import MemoryStore
from dropspot_cli.progress import preparation_outcome, snapshot


def test_each_stage_lasts_until_the_next_one_begins(store: MemoryStore, run: Run) -> None:
    for step in (road.begun, road.prepared, road.trained, road.judged, road.deployed):
        step(store, run)
    now = snapshot(store, run)
    assert [now.seconds(stage) for stage in ("prepare", "train", "evaluate", "deploy")] == [12, 125, 8, 30]
    assert now.is_deployed
    assert now.has_ended


def test_a_stage_that_has_not_begun_has_no_time(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    now = snapshot(store, run)
    assert now.stage == "prepare"
    assert now.ended("prepare") is None
    assert now.seconds("train") is None
    assert not now.has_ended


def test_a_champion_without_its_verdict_is_still_on_its_way(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    road.deployed(store, run)
    assert not snapshot(store, run).has_ended


@pytest.mark.parametrize(("status", "ended"), [("passed", False), ("refused", True), ("not_served", True)])
def test_a_run_that_passed_goes_on_until_it_is_in_service(
    store: MemoryStore, run: Run, status: str, ended: bool
) -> None:
    road.begun(store, run)
    road.judged(store, run, status)
    assert snapshot(store, run).has_ended is ended


def test_a_run_that_passed_ends_where_a_later_one_is_wanted(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    road.judged(store, run)
    store.put_json("endpoint/desired.json", {"run_id": "pets-ffffffffff"})
    assert snapshot(store, run).is_kept_out


@pytest.mark.parametrize(
    ("step", "stage"), [("prep", "prepare"), ("train", "train"), ("eval", "evaluate"), ("deploy", "deploy")]
)
def test_a_failure_names_its_stage(store: MemoryStore, run: Run, step: str, stage: str) -> None:
    road.begun(store, run)
    road.failed(store, run, step, "it broke")
    now = snapshot(store, run)
    assert now.stage == stage
    assert now.has_ended


def test_a_document_is_read_once(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    before = snapshot(store, run)
    road.begun(store, run, dataset="other")
    assert snapshot(store, run, before).documents["run"]["dataset"] == "pets"


def test_the_outcome_counts_what_was_left_out_and_why() -> None:
    text = preparation_outcome(road.REPORT, "s3://b/report")
    assert text == (
        "10 pictures (7 train, 1 validation, 2 test), 12 boxes, 2 classes; left out: 1 no_annotation, 1 corrupt_image"
        " (each is named in s3://b/report/quarantine.jsonl)"
    )
    whole: dict[str, Any] = {**road.REPORT, "left_out": {}}
    assert preparation_outcome(whole, "s3://b/report").endswith("; nothing left out")


def test_the_outcome_counts_the_warnings_and_says_where_they_are() -> None:
    doubtful: dict[str, Any] = {**road.REPORT, "left_out": {}, "warnings": ["in doubt", "rare"]}
    told = preparation_outcome(doubtful, "s3://b/report")
    assert told.endswith("; nothing left out; 2 warnings, to be read in s3://b/report/report.html")
    told = preparation_outcome({**road.REPORT, "warnings": ["in doubt"]}, "s3://b/report")
    assert told.endswith("quarantine.jsonl); 1 warning, to be read in s3://b/report/report.html")
