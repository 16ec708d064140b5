"""`dropspot backfill`: what is asked for, and what is told of it."""

import io
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dropspot import endpoint
from dropspot.backfills import BACKFILL_REQUESTED, Backfill
from dropspot.errors import InvalidInputError, TransientError
from dropspot.testing import MemoryBus, MemoryStore
from dropspot_cli import main
from dropspot_cli.backfilling import BackfillFailedError, Follower, ask

BACKFILL = Backfill("dropspot", "holiday-0123456789")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.put_json(endpoint.CHAMPION, {"run_id": "pets-0123456789"})
    return store


def follower(store: MemoryStore, sleep: Any = lambda seconds: None) -> tuple[Follower, io.StringIO]:
    told = io.StringIO()
    return Follower(store, BACKFILL, Console(file=told, width=200), sleep=sleep, patience=0), told


def test_the_request_s_event_names_the_backfill(store: MemoryStore) -> None:
    bus = MemoryBus()
    begun = ask(store, bus, "dropspot", {"prefix": "holiday/", "older": True})
    [event] = bus.events
    assert (event.detail_type, event.detail) == (BACKFILL_REQUESTED, {"prefix": "holiday/", "older": True})
    assert begun == Backfill.of("dropspot", "bucket", "images/holiday/", event.event_id)


def test_what_would_be_refused_is_not_asked_for(store: MemoryStore) -> None:
    bus = MemoryBus()
    with pytest.raises(InvalidInputError, match="redetect must be true or a moment, not 'soon'"):
        ask(store, bus, "dropspot", {"redetect": "soon"})
    with pytest.raises(InvalidInputError, match="No model is in service yet"):
        ask(MemoryStore(), bus, "dropspot", {})
    assert bus.events == []


def test_a_backfill_is_told_part_by_part_and_in_sum(store: MemoryStore) -> None:
    first, second = BACKFILL.part(0), BACKFILL.part(1)
    store.put_json(BACKFILL.key("backfill.json"), {})
    counts = {"written": 4, "unchanged": 1, "kept": 1}
    store.put_json(first.key("published.json"), {"documents": counts, "handed_over": 8})

    def sleep(seconds: float) -> None:
        """Finish the second part meanwhile."""
        store.put_json(second.key("published.json"), {"documents": {}, "handed_over": 5})
        store.put_json(BACKFILL.key("ended.json"), {})

    told, out = follower(store, sleep)
    assert told.follow() == {"written": 4, "unchanged": 1, "kept": 1, "queued": 13}
    assert (
        "part 1: 4 documents written, 2 already as they should be, 8 images handed to the image queue" in out.getvalue()
    )
    assert "part 2: 0 documents written, 0 already as they should be, 5 images" in out.getvalue()


def test_a_failed_backfill_is_an_error_with_its_reason(store: MemoryStore) -> None:
    store.put_json(BACKFILL.key("backfill.json"), {})
    store.put_json(BACKFILL.key("failure.json"), {"message": "no instance left"})
    with pytest.raises(BackfillFailedError, match="The backfill holiday-0123456789 failed: no instance left"):
        follower(store)[0].follow()


def test_a_backfill_that_never_begins_is_given_up(store: MemoryStore) -> None:
    with pytest.raises(TransientError, match="Nothing has been heard"):
        follower(store)[0].follow()


def test_since_needs_redetect() -> None:
    answer = CliRunner().invoke(main.app, ["backfill", "--since", "2026-01-01T00:00:00Z"])
    assert answer.exit_code == 2
    assert "--since belongs to --redetect" in answer.output
