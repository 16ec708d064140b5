"""The event bus in memory."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PutEvent:
    """An event as it was put on the bus."""

    event_id: str
    detail_type: str
    detail: dict[str, Any]


class MemoryBus:
    """The event bus, keeping what was put on it; `refuses` tells of which events it takes none from put_all."""

    def __init__(self) -> None:
        self.events: list[PutEvent] = []
        self.refuses: Callable[[Mapping[str, Any]], bool] = lambda _: False

    def put(self, detail_type: str, detail: Mapping[str, object]) -> str:
        event = PutEvent(str(uuid.uuid4()), detail_type, json.loads(json.dumps(detail)))
        self.events.append(event)
        return event.event_id

    def put_all(self, events: Sequence[tuple[str, Mapping[str, object]]]) -> list[bool]:
        taken = [not self.refuses(detail) for _, detail in events]
        for (detail_type, detail), is_taken in zip(events, taken, strict=True):
            if is_taken:
                self.put(detail_type, detail)
        return taken

    def of(self, detail_type: str) -> list[dict[str, Any]]:
        """Return the details of the events of this type, in order."""
        return [event.detail for event in self.events if event.detail_type == detail_type]
