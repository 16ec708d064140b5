"""A deployment under guard: the new fleet gets traffic step by step while alarms are watched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from dropspot_local.sagemaker.guardrails import Alarms, Policy

WATCH_SECONDS = 0.5


class Deployment:
    """One update of an endpoint, from the moment that its new fleet is healthy.

    `route` gives the new fleet a share of the traffic; `say` makes a variant's status and its message known.
    """

    def __init__(
        self,
        policy: Policy,
        alarms: Alarms,
        deadline: float,
        *,
        route: Callable[[float], None],
        say: Callable[..., None],
        closed: threading.Event,
    ) -> None:
        self._policy, self._alarms, self._deadline = policy, alarms, deadline
        self._route, self._say, self._closed = route, say, closed

    def run(self) -> str | None:
        """Move the traffic. Returns why it has to go back, None where it has arrived (or the cloud goes away)."""
        for shift in self._policy.shifts:
            complete = shift is self._policy.shifts[-1]
            capacity = f"{'full' if complete else self._policy.kind} capacity of {shift.instances} instance(s)"
            self._say("ActivatingTraffic", f"Activating traffic on {capacity}.", shift.instances)
            self._route(shift.share)
            if shift.wait_seconds or self._policy.alarms:
                told = (
                    f"Baking for {shift.wait_seconds} seconds ({shift.wait_name}) with traffic enabled on {capacity}."
                )
                self._say("Baking", told, shift.instances)
            if reason := self._bake(shift.wait_seconds):
                return reason
        return None

    def roll_back(self) -> None:
        """Give the traffic back to the old fleet."""
        for share in self._policy.back:
            self._route(share)

    def _bake(self, seconds: float) -> str | None:
        end = time.monotonic() + seconds
        while True:
            if tripped := self._alarms.tripped():
                return f"The update was rolled back: alarm(s) in ALARM during the deployment: {', '.join(tripped)}."
            now = time.monotonic()
            if now >= self._deadline:
                return (
                    "The update was rolled back: it took longer than MaximumExecutionTimeoutInSeconds "
                    f"({self._policy.timeout_seconds:g})."
                )
            if now >= end or self._closed.wait(min(WATCH_SECONDS, end - now)):
                return None


def variant_status(status: str, message: str) -> list[dict[str, Any]]:
    """As DescribeEndpoint's VariantStatus."""
    return [{"Status": status, "StatusMessage": message, "StartTime": time.time()}]
