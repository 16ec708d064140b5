"""The queues and the event source mapping in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dropspot.errors import TransientError


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was sent to a queue."""

    queue_url: str
    body: str
    delay_seconds: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PostponedMessage:
    """A received message that was given back for later."""

    queue_url: str
    receipt_handle: str
    seconds: int


@dataclass(frozen=True, slots=True)
class MessageAside:
    """A message that was given up, with its reason."""

    queue_url: str
    body: str
    code: str
    message: str


class MemoryQueues:
    """The queues, keeping what was sent and what was postponed."""

    def __init__(self) -> None:
        self.sent: list[SentMessage] = []
        self.aside: list[MessageAside] = []
        self.postponed: list[PostponedMessage] = []

    def send(self, queue_url: str, body: str, delay_seconds: int, **attributes: str) -> None:
        self.sent.append(SentMessage(queue_url, body, delay_seconds, attributes))

    def send_all(self, queue_url: str, bodies: Iterable[str]) -> int:
        messages = [SentMessage(queue_url, body, 0) for body in bodies]
        self.sent += messages
        return len(messages)

    def waiting(self, queue_url: str) -> int:
        return sum(message.queue_url == queue_url for message in self.sent)

    def set_aside(self, queue_url: str, body: str, code: str, message: str) -> None:
        self.aside.append(MessageAside(queue_url, body, code, message))

    def postpone(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        self.postponed.append(PostponedMessage(queue_url, receipt_handle, seconds))


class MemoryIntake:
    """Event source mappings, closed until they are opened; those in `between` refuse every change."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.between: set[str] = set()

    def is_open(self, mapping_id: str) -> bool:
        return mapping_id in self.open

    def set_open(self, mapping_id: str, wanted: bool) -> None:
        if mapping_id in self.between:
            raise TransientError(f"set event source mapping {mapping_id}: ResourceInUseException")
        (self.open.add if wanted else self.open.discard)(mapping_id)
