import hashlib
import io

import pytest
import run_documents as road
from rich.console import Console

from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.runs import Run
from dropspot.testing import MemoryStore
from dropspot_cli.runs import await_run, newest_run, notes, print_runs, run_ids, run_named, run_of_content, summaries

LATER = Run("dropspot", "pets-aaaaaaaaaa")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def tick(self, seconds: float) -> None:
        self.seconds += seconds


def test_runs_are_listed_newest_first_with_their_state(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.failed(store, run, "train", "the learning rate is too large")
    road.begun(store, LATER, at="2026-01-02T00:00:00Z")
    road.judged(store, LATER, "refused", "too low")
    found = summaries(store)
    assert [(one.run_id, one.state, one.map50) for one in found] == [
        (LATER.run_id, "refused", 0.875),
        (run.run_id, "failed", None),
    ]
    print_runs(found, screen)
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert "0.875" in text
    assert "2026-01-02 00:00:00" in text
    assert notes(found) == [
        f"{LATER.run_id} refused: too low",
        f"{run.run_id} failed: the learning rate is too large",
    ]


def test_a_run_whose_identity_is_not_written_yet_is_listed(store: MemoryStore, run: Run) -> None:
    store.put_json(run.key("listing.json"), [])
    assert [one.run_id for one in summaries(store)] == [run.run_id]


def test_a_folder_that_is_no_run_is_passed_over(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    store.put_json("runs/My Notes/run.json", {"dataset": "pets", "created_at": "2030-01-01T00:00:00Z"})
    assert run_ids(store) == [run.run_id]
    assert newest_run(store, "pets") == run.run_id


@pytest.mark.parametrize("terminal", [True, False])
def test_names_give_way_to_ids_in_a_terminal_and_are_whole_elsewhere(
    store: MemoryStore, run: Run, terminal: bool
) -> None:
    name = "[red]cats\nand " + "dogs " * 40
    road.begun(store, run, dataset=name)
    screen = Console(file=io.StringIO(), width=70, force_terminal=terminal, color_system=None)
    print_runs(summaries(store), screen)
    assert isinstance(screen.file, io.StringIO)
    line = next(line for line in screen.file.getvalue().splitlines() if "[red]" in line)
    assert line.startswith(f"{run.run_id}  [red]ca")
    assert ("…" in line) is terminal
    assert (name.replace("\n", " ") in line) is not terminal
    assert "00:00" in line


def test_the_newest_run_is_that_which_began_last(store: MemoryStore, run: Run) -> None:
    road.begun(store, LATER, at="2026-01-02T00:00:00Z")
    road.begun(store, run)
    assert newest_run(store) == LATER.run_id
    with pytest.raises(NotFoundError, match="no run of the data set birds yet"):
        newest_run(store, "birds")


def test_a_new_run_of_the_data_set_is_waited_for(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    clock = Clock()

    def tick(seconds: float) -> None:
        clock.tick(seconds)
        if clock.seconds == 3:
            road.begun(store, Run("dropspot", "birds-bbbbbbbbbb"), dataset="birds")
        if clock.seconds == 5:
            road.begun(store, LATER)

    assert await_run(store, "pets", [run.run_id], patience=60, tick=tick, now=clock.now) == LATER.run_id
    assert clock.seconds == 5


def test_where_nothing_changed_the_earlier_run_of_the_same_content_counts(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    etag = store.put("datasets/pets/a.jpg", b"abc")
    assert etag == hashlib.md5(b"abc").hexdigest()
    store.put("datasets/pets/training.json", b"{}")  # the plan is no content
    store.put_json(run.key("listing.json"), [{"key": "a.jpg", "etag": etag, "size": 3}])
    clock = Clock()
    assert await_run(store, "pets", [run.run_id], patience=0, tick=clock.tick, now=clock.now) == run.run_id
    store.put("datasets/pets/b.jpg", b"new")
    assert run_of_content(store, "pets") is None


def test_a_run_that_never_begins_is_one_sentence(store: MemoryStore) -> None:
    clock = Clock()
    with pytest.raises(NotFoundError, match="No run of pets has begun within 5 s"):
        await_run(store, "pets", [], patience=5, tick=clock.tick, now=clock.now)


def test_an_unknown_run_is_told_from_what_is_no_id(store: MemoryStore, run: Run) -> None:
    with pytest.raises(NotFoundError, match="`dropspot runs` lists them"):
        run_named("dropspot", run.run_id, store)
    with pytest.raises(InvalidInputError):
        run_named("dropspot", "Not An Id", store)
    road.begun(store, run)
    assert run_named("dropspot", run.run_id, store) == run


def test_runs_say_what_waits_for_approval_and_what_was_decided(store: MemoryStore, run: Run) -> None:
    road.begun(store, run)
    road.awaiting(store, run)

    def shown() -> tuple[str, str]:
        [one] = summaries(store)
        return one.state, one.note

    assert shown() == ("awaiting approval", f"dropspot approve {run.run_id}, or dropspot reject {run.run_id}")
    road.decided(store, run, "Rejected", "mixes up cats and dogs")
    assert shown() == ("rejected", "mixes up cats and dogs")
    road.decided(store, run, "Approved", objection="not deployed: another is wanted")
    assert shown() == ("passed", "not deployed: another is wanted")
