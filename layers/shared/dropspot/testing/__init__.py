"""The ports in memory, for tests and for nothing else; `tests/contract/ports` holds them to what the adapters do."""

from dropspot.service_models import assert_valid_request
from dropspot.testing.alarms import MemoryAlarms
from dropspot.testing.clock import Clock
from dropspot.testing.events import MemoryBus, PutEvent
from dropspot.testing.hosting import MemoryHosting
from dropspot.testing.inference import MemoryInference, Prediction
from dropspot.testing.jobs import MemoryJobs
from dropspot.testing.queues import MemoryIntake, MemoryQueues, MessageAside, PostponedMessage, SentMessage
from dropspot.testing.registry import MemoryRegistry
from dropspot.testing.scaling import MemoryScaling
from dropspot.testing.services import MemoryServices, memory_services
from dropspot.testing.store import MemoryStore

__all__ = [
    "Clock",
    "MemoryAlarms",
    "MemoryBus",
    "MemoryHosting",
    "MemoryInference",
    "MemoryIntake",
    "MemoryJobs",
    "MemoryQueues",
    "MemoryRegistry",
    "MemoryScaling",
    "MemoryServices",
    "MemoryStore",
    "MessageAside",
    "PostponedMessage",
    "Prediction",
    "PutEvent",
    "SentMessage",
    "assert_valid_request",
    "memory_services",
]
