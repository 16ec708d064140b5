"""Managed spot training: capacity that can be taken away, on request, and comes back after a while.

As "Managed Spot Training in Amazon SageMaker" has it: an interrupted job waits for capacity and starts again on a fresh
instance, with the checkpoints that S3 holds. All of it together may take MaxWaitTimeInSeconds.
"""

from __future__ import annotations

import math
import threading
import time

from dropspot_local.sagemaker.state import Record
from dropspot_local.sagemaker.training_request import DEFAULT_MAX_RUNTIME_SECONDS

RUNTIME_EXCEEDED, WAIT_EXCEEDED = "MaxRuntimeExceeded", "MaxWaitTimeExceeded"


class SpotCapacity:
    """The capacity that one training job has, and the time that it has left. Without spot nothing takes it away."""

    def __init__(self, record: Record) -> None:
        stopping = record.get("StoppingCondition", {})
        self._runtime = float(stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS))
        self._wait_until: float = record["CreationTime"] + stopping.get("MaxWaitTimeInSeconds", math.inf)
        self._back_after = 0.0
        self._began: float | None = None
        self.trained = 0.0  # seconds, over all attempts
        self.taken = threading.Event()

    def take_away(self, seconds: float) -> None:
        """Interrupt the job; there is capacity again after so many seconds."""
        self._back_after = seconds
        self.taken.set()

    def begin(self) -> float:
        """Note that an attempt begins. Returns the seconds that it may take."""
        self._began = time.time()
        return min(self._runtime - self.trained, self._wait_until - self._began)

    def end(self) -> None:
        """Note that the attempt has ended."""
        if self._began is not None:
            self.trained += time.time() - self._began
            self._began = None

    @property
    def exceeded(self) -> str:
        """Which limit an attempt has met that ran as long as it might."""
        return RUNTIME_EXCEEDED if self.trained >= self._runtime - 0.5 else WAIT_EXCEEDED

    def wait(self, stop: threading.Event) -> bool:
        """Wait for capacity. False where the job was stopped meanwhile, or has waited for longer than it may."""
        back = time.time() + self._back_after
        if stop.wait(max(0.0, min(back, self._wait_until) - time.time())):
            return False
        self.taken.clear()
        return back <= self._wait_until
