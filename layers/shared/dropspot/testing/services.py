"""A function's services, all of them in memory."""

from dataclasses import dataclass, field
from typing import TypeVar

from dropspot.services import Services
from dropspot.settings import Settings
from dropspot.testing.alarms import MemoryAlarms
from dropspot.testing.clock import Clock
from dropspot.testing.events import MemoryBus
from dropspot.testing.hosting import MemoryHosting
from dropspot.testing.inference import MemoryInference
from dropspot.testing.jobs import MemoryJobs
from dropspot.testing.queues import MemoryIntake, MemoryQueues
from dropspot.testing.registry import MemoryRegistry
from dropspot.testing.scaling import MemoryScaling
from dropspot.testing.store import MemoryStore

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class MemoryServices(Services[S]):
    """A function's services in memory, typed so that a test may program them."""

    store: MemoryStore
    jobs: MemoryJobs
    hosting: MemoryHosting
    alarms: MemoryAlarms
    registry: MemoryRegistry
    scaling: MemoryScaling
    inference: MemoryInference
    bus: MemoryBus
    queues: MemoryQueues
    intake: MemoryIntake
    clock: Clock = field(default_factory=Clock)


def memory_services(settings: S, *, store: MemoryStore | None = None) -> MemoryServices[S]:
    """Return empty services that share one clock; `store` where several functions share a bucket."""
    clock = store.clock if store else Clock()
    return MemoryServices(
        settings=settings,
        store=store or MemoryStore(settings.bucket_name, clock),
        jobs=MemoryJobs(),
        hosting=MemoryHosting(clock),
        alarms=MemoryAlarms(),
        registry=MemoryRegistry(),
        scaling=MemoryScaling(),
        inference=MemoryInference(),
        bus=MemoryBus(),
        queues=MemoryQueues(),
        intake=MemoryIntake(),
        now=clock.now,
        clock=clock,
    )
