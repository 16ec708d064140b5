"""`dropspot backfill`: ask for a look at existing images in bulk, and follow it to its end."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from dropspot import documents, endpoint
from dropspot.aws import EventBridgeBus
from dropspot.backfills import BACKFILL_REQUESTED, Backfill, BackfillRequest, image_prefix
from dropspot.errors import DropspotError, InvalidInputError, TransientError
from dropspot.ports import EventBus, ObjectStore
from dropspot_cli.console import counted
from dropspot_cli.stack import Stack

_DOING = {
    "part": "listing images",
    "sniff": "finding the pictures that go to the model as they are",
    "look": "running the model",
    "harvest": "making documents",
    "publishing": "putting documents in place",
}


class BackfillFailedError(DropspotError):
    """The backfill has failed; the message says why."""


def request_backfill(stack: Stack, detail: dict[str, Any]) -> Backfill:
    """Put the request on the bus, after looking whether it makes sense, and return the backfill that it begins."""
    return ask(stack.store, EventBridgeBus(stack.app), stack.app, detail)


def ask(store: ObjectStore, bus: EventBus, app: str, detail: dict[str, Any]) -> Backfill:
    """Put the request on the bus; raise InvalidInputError where it would be refused."""
    if store.head(endpoint.CHAMPION) is None:
        raise InvalidInputError("No model is in service yet; images that are there by then are looked at unasked.")
    now = datetime.now(UTC)
    request = BackfillRequest.from_detail(detail, now, now)
    return Backfill.of(app, store.bucket, request.prefix, bus.put(BACKFILL_REQUESTED, detail))


@dataclass(slots=True)
class Follower:
    """Tells what a backfill does, from the documents that it leaves."""

    store: ObjectStore
    backfill: Backfill
    console: Console
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    patience: float = 120  # seconds until the first document is there
    _told: set[int] = field(default_factory=set)

    def follow(self) -> Counter[str]:
        """Follow the backfill to its end and return what became of the images; raise BackfillFailedError."""
        self._await_beginning()
        with self.console.status("listing images") as status:
            while True:
                names = set(self.store.children(self.backfill.key("")))
                numbers = sorted(int(name[:-1]) for name in names if name.endswith("/"))
                self._tell(numbers)
                if failure := documents.read_or_none(self.store, self.backfill.key("failure.json")):
                    raise BackfillFailedError(f"The backfill {self.backfill.backfill_id} failed: {failure['message']}")
                if "ended.json" in names:
                    return sum((self._outcome(number) or Counter() for number in numbers), Counter())
                if numbers:
                    status.update(f"part {numbers[-1] + 1}: {self._doing(numbers[-1])}")
                self.sleep(2.0)

    def _await_beginning(self) -> None:
        deadline = self.clock() + self.patience
        while self.store.head(self.backfill.key("backfill.json")) is None:
            if self.clock() >= deadline:
                raise TransientError(
                    f"Nothing has been heard of the backfill {self.backfill.backfill_id} for {self.patience:.0f} s:"
                    " see what `dropspot redrive --list` finds, and the log of start_backfill."
                )
            self.sleep(0.5)

    def _tell(self, numbers: list[int]) -> None:
        for number in numbers:
            if number not in self._told and (outcome := self._outcome(number)) is not None:
                self._told.add(number)
                self.console.print(f"[green]✓[/] part {number + 1}: {summary(outcome)}", soft_wrap=True)

    def _doing(self, number: int) -> str:
        names = set(self.store.children(self.backfill.part(number).key("")))
        return next((text for name, text in reversed(_DOING.items()) if f"{name}.json" in names), _DOING["part"])

    def _outcome(self, number: int) -> Counter[str] | None:
        """Return what became of a part's images, None while it isn't done."""
        published = documents.read_or_none(self.store, self.backfill.part(number).key("published.json"))
        return published and Counter({**published["documents"], "queued": published["handed_over"]})


def summary(outcome: Counter[str]) -> str:
    """Return what became of images, in words."""
    same = outcome["unchanged"] + outcome["kept"]
    return (
        f"{counted(outcome['written'], 'document')} written, {same} already as they should be,"
        f" {counted(outcome['queued'], 'image')} handed to the image queue"
    )


def backfill(stack: Stack, detail: dict[str, Any], console: Console, *, wait: bool) -> None:
    """Ask for the backfill, and follow it unless told not to wait."""
    begun = request_backfill(stack, detail)
    prefix = image_prefix(detail["prefix"])
    console.print(f"[green]✓[/] asked for a backfill of {escape(prefix)} ({begun.backfill_id})", soft_wrap=True)
    if wait:
        outcome = Follower(stack.store, begun, console).follow()
        console.print(f"[green]✓[/] backfill of {escape(prefix)}: {summary(outcome)}", soft_wrap=True)
