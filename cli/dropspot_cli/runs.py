"""Runs as the bucket records them: a document for every step, and nothing else to ask."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dropspot import documents
from dropspot.datasets import Listing, of_the_folder, prefix_of
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import REJECTED, ObjectStore
from dropspot.runs import PREFIX, Run, RunStatus

_NAME_WIDTH = 32  # of a data set's name in a terminal
_WHOLE = 10_000  # columns where no terminal sets a limit


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of the list of runs; `map50` is None until the run was judged."""

    run_id: str
    dataset: str
    created_at: str
    state: str
    step: str
    map50: float | None
    note: str


def run_ids(store: ObjectStore) -> list[str]:
    """Return the ids of all runs; folders that somebody else has made under runs/ are none."""
    return [name[:-1] for name in store.children(PREFIX) if name.endswith("/") and _is_run_id(name[:-1])]


def _is_run_id(name: str) -> bool:
    try:
        Run.from_id("", name)
    except InvalidInputError:
        return False
    return True


def identity(store: ObjectStore, run_id: str) -> dict[str, Any]:
    """Return the run's run.json, empty where a run has only just begun."""
    return documents.read_or_none(store, f"{PREFIX}{run_id}/run.json") or {}


def summaries(store: ObjectStore) -> list[RunSummary]:
    """Return all runs, the newest first."""
    with ThreadPoolExecutor(max_workers=8) as pool:  # a handful of small reads for each
        found = list(pool.map(lambda run_id: _summary(store, run_id), run_ids(store)))
    return sorted(found, key=lambda run: run.created_at, reverse=True)


def _summary(store: ObjectStore, run_id: str) -> RunSummary:
    prefix = f"{PREFIX}{run_id}/"
    names = {name for name in store.children(prefix) if not name.endswith("/")}
    status = RunStatus.of(names)
    who = identity(store, run_id)
    approval = (documents.read_or_none(store, f"{prefix}approval.json") if "approval.json" in names else None) or {}
    failure = (documents.read_or_none(store, f"{prefix}failure.json") if "failure.json" in names else None) or {}
    overtaken = (documents.read_or_none(store, f"{prefix}overtaken.json") if "overtaken.json" in names else None) or {}
    verdict = (documents.read_or_none(store, f"{prefix}verdict.json") if "verdict.json" in names else None) or {}
    return RunSummary(
        run_id=run_id,
        dataset=who.get("dataset", ""),
        created_at=who.get("created_at", ""),
        state=_state(status.state, verdict, approval),
        step=status.step,
        map50=verdict.get("map50"),
        note=failure.get("message") or overtaken.get("message") or _note(run_id, status.state, verdict, approval),
    )


def _state(state: str, verdict: Mapping[str, Any], approval: Mapping[str, Any]) -> str:
    """Return the run's state as a person would call it."""
    if state == "judged" and approval.get("status") == REJECTED:
        return "rejected"
    if state == "judged" and "status" in verdict:
        return str(verdict["status"])
    return state.replace("_", " ")


def _note(run_id: str, state: str, verdict: Mapping[str, Any], approval: Mapping[str, Any]) -> str:
    if state == "awaiting_approval":
        return f"dropspot approve {run_id}, or dropspot reject {run_id}"
    if approval.get("status") == REJECTED:
        return str(approval.get("note") or "in the model registry")
    return str(approval.get("objection") or verdict.get("rule", ""))


def runs_awaiting_approval(store: ObjectStore) -> list[str]:
    """Return the ids of the runs whose models wait for somebody's decision."""
    states = {run_id: RunStatus.of(set(store.children(f"{PREFIX}{run_id}/"))).state for run_id in run_ids(store)}
    return [run_id for run_id, state in states.items() if state == "awaiting_approval"]


def print_runs(runs: list[RunSummary], console: Console) -> None:
    """Print the table of runs, in whole lines where another program reads them."""
    if not console.is_terminal:
        console.width = _WHOLE
    console.print(_table(runs, name_width=_NAME_WIDTH if console.is_terminal else None))


def _table(runs: list[RunSummary], name_width: int | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption="times in UTC", caption_justify="left")
    table.add_column("run", no_wrap=True, min_width=max(len(run.run_id) for run in runs))  # to be copied: never cut
    table.add_column("data set", max_width=name_width)  # the one column that gives way
    for column in ("began", "state", "step"):
        table.add_column(column, no_wrap=True)
    table.add_column("mAP@0.5", justify="right", no_wrap=True)
    colours = {
        "failed": "red",
        "refused": "yellow",
        "rejected": "yellow",
        "awaiting approval": "cyan",
        "deployed": "green",
    }
    for run in runs:
        score = "" if run.map50 is None else f"{run.map50:.3f}"
        name = Text(_printable(run.dataset), no_wrap=True, overflow="ellipsis")
        state = Text(run.state, colours.get(run.state, "default"))
        began = run.created_at.replace("T", " ").removesuffix("Z")
        table.add_row(run.run_id, name, escape(began), state, run.step, score)
    return table


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else " " for character in name)


def notes(runs: list[RunSummary]) -> list[str]:
    """Return a line for each run whose model isn't in service, with the reason."""
    return [f"{run.run_id} {run.state}: {run.note}" for run in runs if run.note and run.state != "deployed"]


def newest_run(store: ObjectStore, dataset: str = "") -> str:
    """Return the id of the run that began last, of this data set where one is named; raise NotFoundError."""
    found = [
        (who.get("created_at", ""), run_id) for run_id, who in _identities(store) if dataset in {"", who.get("dataset")}
    ]
    if not found:
        of = f" of the data set {dataset}" if dataset else ""
        raise NotFoundError(f"There is no run{of} yet: upload a data set with `dropspot push FOLDER`.")
    return max(found)[1]


def _identities(store: ObjectStore) -> list[tuple[str, dict[str, Any]]]:
    return [(run_id, identity(store, run_id)) for run_id in run_ids(store)]


def run_of_content(store: ObjectStore, dataset: str) -> str | None:
    """Return the newest run of exactly what lies in the data set's folder now, None where there is none."""
    now = Listing.of(dataset, store.objects(prefix_of(dataset))).document
    same = [
        (who.get("created_at", ""), run_id)
        for run_id, who in _identities(store)
        if who.get("dataset") == dataset
        and of_the_folder(documents.read_or_none(store, f"{PREFIX}{run_id}/listing.json") or ()) == now
    ]
    return max(same)[1] if same else None


def await_run(
    store: ObjectStore,
    dataset: str,
    known: Collection[str],
    *,
    patience: float,
    tick: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> str:
    """Wait for a run of the data set that isn't among the `known` ones and return its id.

    The pipeline starts no second run of the same content: after `patience` seconds an earlier run of it counts. Raises
    NotFoundError where there is none either.
    """
    deadline = now() + patience
    while True:
        for run_id in run_ids(store):
            if run_id not in known and identity(store, run_id).get("dataset") == dataset:
                return run_id
        if now() >= deadline:
            break
        tick(1.0)
    earlier = run_of_content(store, dataset)
    if earlier is None:
        raise NotFoundError(
            f"No run of {dataset} has begun within {patience:.0f} s: see the functions' logs,"
            " and the dataset queue's dead letters."
        )
    return earlier


def run_named(app: str, run_id: str, store: ObjectStore) -> Run:
    """Return the run; raise InvalidInputError for what is no id and NotFoundError for a run that doesn't exist."""
    run = Run.from_id(app, run_id)
    if store.head(run.key("run.json")) is None:
        raise NotFoundError(f"There is no run {run_id}: `dropspot runs` lists them.")
    return run
