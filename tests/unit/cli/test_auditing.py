"""`dropspot audit` over a bucket in memory."""

import io
import json

import pytest
from rich.console import Console

from dropspot import endpoint
from dropspot.images import SCHEMA
from dropspot.settled import SETTLED
from dropspot.testing import MemoryStore
from dropspot_cli import auditing
from dropspot_cli.auditing import (
    FOREIGN,
    MISSING,
    ORPHAN,
    OTHER_MODEL,
    OUTDATED,
    REFUSED_BY_NOBODY,
    Finding,
    audit,
    report,
)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.put_json(endpoint.CHAMPION, {"run_id": "pets-0123456789"})
    return store


def describe(
    store: MemoryStore,
    name: str,
    etag: str,
    run_id: str | None = "pets-0123456789",
    refused_by: str = "",
    version_id: str | None = None,
    code: str = "",
) -> None:
    rejection = {"code": code} if code else None
    document = {
        "schema": SCHEMA,
        "status": "detected" if run_id else "rejected",
        "image": {"etag": etag, "version_id": version_id},
        "model": run_id and {"run_id": run_id},
        "detections": [],
        "rejection": {"code": "refused_by_model", "run_id": refused_by} if refused_by else rejection,
    }
    store.put_json(f"detections/{name}.json", document)


def test_everything_that_can_be_wrong_is_found(store: MemoryStore) -> None:
    etag = {name: store.put(f"images/{name}", name.encode()) for name in "abcdefg"}
    describe(store, "a", etag["a"])
    describe(store, "b", etag["a"])
    describe(store, "c", etag["c"], run_id="pets-9876543210")
    describe(store, "d", etag["d"], run_id=None)
    describe(store, "e", etag["a"], run_id=None)
    store.put("detections/f.json", b"not ours")
    describe(store, "gone", "e")
    assert list(audit(store, "images/")) == [
        Finding("images/b", OUTDATED),
        Finding("images/c", OTHER_MODEL),
        Finding("images/e", OUTDATED),
        Finding("images/f", FOREIGN),
        Finding("images/g", MISSING),
        Finding("images/gone", ORPHAN),
    ]
    assert list(audit(store, "images/a")) == []


def test_the_same_bytes_uploaded_again_need_a_document_of_their_own(store: MemoryStore) -> None:
    def upload(name: str) -> tuple[str, str | None]:
        etag = store.put(f"images/{name}", b"x")
        return etag, store.read(f"images/{name}").version_id

    for name in ("again", "once"):
        etag, version = upload(name)
        store.clock.advance(2)
        describe(store, name, etag, version_id=version)
    store.clock.advance(2)
    upload("again")
    assert list(audit(store, "images/")) == [Finding("images/again", OUTDATED)]


def test_what_an_earlier_model_refused_is_of_another_model(store: MemoryStore) -> None:
    for name, run_id in (("a", "pets-0123456789"), ("b", "pets-9876543210")):
        describe(store, name, store.put(f"images/{name}", b"x"), run_id=None, refused_by=run_id)
    assert list(audit(store, "images/")) == [Finding("images/b", OTHER_MODEL)]


def test_a_refusal_that_nobody_is_charged_with_is_looked_at_again_once_one_model_alone_answers(
    store: MemoryStore,
) -> None:
    etag = store.put("images/a", b"x")
    describe(store, "a", etag, run_id=None, code="refused_by_model")
    store.put("images/b", b"x")
    describe(store, "b", etag, run_id=None, code="too_large")
    assert list(audit(store, "images/")) == []
    store.put_json(SETTLED, {"run_id": "pets-0123456789", "since": "2026-01-01T00:00:00+00:00"})
    assert list(audit(store, "images/")) == [Finding("images/a", REFUSED_BY_NOBODY)]


def test_what_is_found_is_counted_shown_and_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "_AT_ONCE", 4)
    findings = [Finding(f"images/[{number}].jpg", MISSING) for number in range(9)] + [Finding("images/x", ORPHAN)]
    sent: list[list[str]] = []
    told = io.StringIO()
    assert report(findings, Console(file=told, width=200), sent.append) == 10
    assert [len(batch) for batch in sent] == [4, 4, 2]
    assert [json.loads(message)["detail"]["object"]["key"] for batch in sent for message in batch] == [
        found.key for found in findings
    ]
    assert "9 images without a document" in told.getvalue()
    assert "images/[4].jpg" in told.getvalue()
    assert "images/[5].jpg" not in told.getvalue()
    assert "and 4 more" in told.getvalue()
    assert "1 image gone, with a document left behind" in told.getvalue()


def test_nothing_is_sent_unless_asked(store: MemoryStore) -> None:
    store.put("images/a", b"x")
    assert report(audit(store, "images/"), Console(file=io.StringIO()), None) == 1
