"""Runs as the API shows them, put together from the documents that they have left in the bucket."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from dropspot import documents, endpoint
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.runs import PREFIX, Run, RunStatus
from dropspot.services import Services
from dropspot.settings import Settings

_SUFFIX = ".json"


def service_health(services: Services[Settings]) -> dict[str, Any]:
    """Return the endpoint's status (None: there is no endpoint) and the run that is in service."""
    found = services.hosting.endpoint(services.settings.endpoint_name)
    champion = documents.read_or_none(services.store, endpoint.CHAMPION) or {}
    return {
        "app": services.settings.app_name,
        "endpoint": found and found.status,
        "champion": champion.get("run_id"),
    }


def run_list(services: Services[Settings]) -> list[dict[str, Any]]:
    """Return a line for every run, newest first."""
    lines = [_line(services, run) for run in _runs(services)]
    return sorted((line for line in lines if line), key=lambda line: (line["created_at"], line["run_id"]), reverse=True)


def _runs(services: Services[Settings]) -> Iterator[Run]:
    """Yield every run; what somebody else has put beside them is passed over."""
    for name in services.store.children(PREFIX):
        if name.endswith("/"):
            with suppress(InvalidInputError):
                yield Run.from_id(services.settings.app_name, name.removesuffix("/"))


def _line(services: Services[Settings], run: Run) -> dict[str, Any] | None:
    store = services.store
    names = set(store.children(run.key("")))
    record = documents.read_or_none(store, run.key("run.json"))
    if record is None:  # its first document is being written
        return None
    verdict = documents.read(store, run.key("verdict.json")) if "verdict.json" in names else {}
    status = RunStatus.of(names)
    return {
        "run_id": run.run_id,
        "dataset": record["dataset"],
        "state": status.state,
        "step": status.step,
        "created_at": record["created_at"],
        "map50": verdict.get("map50"),
    }


def run_details(services: Services[Settings], run_id: str) -> dict[str, Any]:
    """Return the run's line and every document that lies directly under it, by name.

    The listing may be of any length: only its number of objects and bytes are told. InvalidInputError: no run's id.
    NotFoundError: no such run.
    """
    run = Run.from_id(services.settings.app_name, run_id)
    line = _line(services, run)
    if line is None:
        raise NotFoundError(f"there is no run {run_id}")
    names = [name for name in services.store.children(run.key("")) if name.endswith(_SUFFIX)]
    found = {name.removesuffix(_SUFFIX): documents.read_or_none(services.store, run.key(name)) for name in names}
    if listing := found.get("listing"):
        found["listing"] = {"objects": len(listing), "bytes": sum(item["size"] for item in listing)}
    return line | {"documents": found}
