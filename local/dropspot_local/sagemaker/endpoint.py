"""One endpoint: the fleet that answers, the one that may be on its way in, and the one change that may be under way."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from dropspot_local.sagemaker import events
from dropspot_local.sagemaker.asynchronous import DEFAULT_CONCURRENCY, AsyncQueue, Capacity
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.deployment import Deployment, variant_status
from dropspot_local.sagemaker.fleet import Fleet, FleetError, described
from dropspot_local.sagemaker.guardrails import Alarms, Policy
from dropspot_local.sagemaker.jobs import INTERNAL_ERROR
from dropspot_local.sagemaker.state import Record, Records, Site

logger = logging.getLogger("dropspot_local")

WATCH_SECONDS = 0.5


class Endpoint:
    """One endpoint: its record, the fleet that answers, and the one change that may be under way."""

    def __init__(self, site: Site, records: Records, clients: Clients, record: Record) -> None:
        self.site, self.records, self.clients, self.record = site, records, clients, record
        self.fleet: Fleet | None = None
        self.queue: AsyncQueue | None = None  # of an asynchronous endpoint
        self.capacity: Capacity | None = None  # how its instances come and go
        self.config: Record | None = None  # what is in service, also while it has no instance
        self._served: dict[str, Record] = {}
        self._idle_since: float | None = None
        self._green: tuple[Fleet, float] | None = None  # the new fleet during an update, and its share of the traffic
        self._coming: Fleet | None = None
        self._closed = threading.Event()
        self._worker: threading.Thread | None = None

    def change(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do a change in a thread of its own; the record already says that it is under way."""

        def run() -> None:
            try:
                work(*arguments)
            except Exception:
                logger.exception("Endpoint %s", self.record["EndpointName"])
                self.update(EndpointStatus="Failed", FailureReason=INTERNAL_ERROR)

        self._worker = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
        self._worker.start()

    def update(self, **changes: Any) -> None:
        """Change the record and send the state-change event that tells of it."""
        with self.records.lock:
            self.record.update(changes, LastModifiedTime=time.time())
            detail = events.endpoint_detail(self.record)
        if not self._closed.is_set():
            events.emit("endpoint", self.record["EndpointArn"], detail)

    @contextmanager
    def serving(self, variant: str | None) -> Iterator[Fleet | None]:
        """The fleet for one request, by the traffic's shares or by the variant asked; it isn't ended meanwhile."""
        with self.records.lock:
            fleet = self._chosen(variant)
            if fleet is not None:
                fleet.enter()
        try:
            yield fleet
        finally:
            if fleet is not None:
                fleet.leave()

    def _chosen(self, variant: str | None) -> Fleet | None:
        if self._green is None or self._green[1] == 0:
            return self.fleet
        green, share = self._green
        fleets = [green, self.fleet] if random.random() < share else [self.fleet, green]  # noqa: S311 - traffic, no secret
        able = [fleet for fleet in fleets if fleet is not None and (variant is None or variant in fleet.servers)]
        return able[0] if able else self.fleet

    def bring_up(self, config: Record, served: dict[str, Record]) -> None:
        """Creation: InService once the fleet is healthy, else Failed."""
        try:
            fleet = self._started(config, served)
        except FleetError as error:
            self.update(EndpointStatus="Failed", FailureReason=str(error))
            return
        with self.records.lock:
            self.fleet, self.config, self._served = fleet, config, served
        self._open_queue(config)
        self.update(EndpointStatus="InService", ProductionVariants=described(fleet.config))
        self._watch()

    def replace(self, config: Record, served: dict[str, Record], policy: Policy) -> None:
        """Update: traffic moves to the new fleet as the policy says, and back to the old one when that goes wrong."""
        begun, deadline = time.time(), time.monotonic() + policy.timeout_seconds
        total = policy.shifts[-1].total

        def say(status: str, message: str, instances: int) -> None:
            variants = [
                variant | {"CurrentInstanceCount": instances, "VariantStatus": variant_status(status, message)}
                for variant in described(config)
            ]
            self._pending({"EndpointConfigName": config["EndpointConfigName"], "StartTime": begun}, variants)

        say("Creating", f"Launching {total} instance(s).", 0)
        try:
            green = self._started(config, served)
        except FleetError as error:
            self._roll_back(None, None, str(error))
            return
        deployment = Deployment(
            policy,
            Alarms(self.clients["cloudwatch"], policy.alarms),
            deadline,
            route=lambda share: self._route(green, share),
            say=say,
            closed=self._closed,
        )
        if reason := deployment.run():
            self._roll_back(green, deployment, reason)
            return
        with self.records.lock:
            old, self.fleet, self._green = self.fleet, green, None
            self.config, self._served = config, served
            self.record.pop("FailureReason", None)
            self.record.pop("PendingDeploymentSummary", None)
        self._open_queue(config)
        self.update(
            EndpointStatus="InService",
            EndpointConfigName=config["EndpointConfigName"],
            ProductionVariants=described(green.config),
        )
        if old is not None:
            old.drain(60)
            old.close(30)

    def take_down(self, forget: Callable[[], None]) -> None:
        """Deletion: the processes end, then the record goes. The service sends no event for the latter."""
        self._closed.set()
        self._close_queue()
        with self.records.lock:
            fleet, self.fleet = self.fleet, None
        if fleet is not None:
            fleet.drain(60)
            fleet.close(30)
        forget()

    def abandon(self, seconds: float) -> None:
        """End everything because the cloud goes away."""
        self._closed.set()
        self._close_queue()
        if self._coming is not None:
            self._coming.cancel()
        if self._worker is not None:
            self._worker.join(timeout=seconds)
        for fleet in (self.fleet, self._green and self._green[0]):
            if fleet is not None:
                fleet.close(2)

    def _open_queue(self, config: Record) -> None:
        """Take requests that nobody waits for, where the configuration says so; those that wait already stay."""
        asynchronous = config.get("AsyncInferenceConfig")
        with self.records.lock:
            if asynchronous and self.queue is None:
                limit = asynchronous.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance")
                self.queue = AsyncQueue(self.site, limit or DEFAULT_CONCURRENCY, self.serving)
            if asynchronous:
                self.record["AsyncInferenceConfig"] = asynchronous

    @property
    def variants(self) -> set[str]:
        """The names of the variants that are in service."""
        return {variant["VariantName"] for variant in (self.config or {"ProductionVariants": []})["ProductionVariants"]}

    def _scale(self) -> None:
        """Give the instance back after a time without requests, and take one when requests wait."""
        capacity, queue = self.capacity, self.queue
        if capacity is None or queue is None or self.record["EndpointStatus"] != "InService":
            return
        if queue.backlog:
            self._idle_since = None
            if self.fleet is None and capacity.wakes:
                self._wake()
            return
        now = time.monotonic()
        self._idle_since = now if self._idle_since is None else self._idle_since
        idle = capacity.idle_seconds
        if self.fleet and capacity.fewest == 0 and idle is not None and now - self._idle_since >= idle:
            self._sleep()

    def _sleep(self) -> None:
        self.update(EndpointStatus="Updating")
        with self.records.lock:
            fleet, self.fleet = self.fleet, None
        if fleet is not None:
            fleet.drain(60)
            fleet.close(30)
        self._counted(0)

    def _wake(self) -> None:
        self.update(EndpointStatus="Updating")
        try:
            fleet = self._started(self.config or {}, self._served)
        except FleetError as error:
            logger.warning("Endpoint %s doesn't wake up: %s", self.record["EndpointName"], error)
            self._counted(0)
            return
        with self.records.lock:
            self.fleet = fleet
        self._counted(1)

    def _counted(self, instances: int) -> None:
        variants = [
            variant | {"CurrentInstanceCount": instances, "DesiredInstanceCount": instances}
            for variant in described(self.config or {"ProductionVariants": []})
        ]
        self.update(EndpointStatus="InService", ProductionVariants=variants)

    def _close_queue(self) -> None:
        if self.queue is not None:
            self.queue.close()

    def _route(self, green: Fleet, share: float) -> None:
        with self.records.lock:
            self._green = (green, share)

    def _roll_back(self, green: Fleet | None, deployment: Deployment | None, reason: str) -> None:
        """Leave the endpoint to its old fleet and configuration."""
        self.update(EndpointStatus="RollingBack")
        if deployment is not None:
            deployment.roll_back()
        with self.records.lock:
            self._green = None
            self.record.pop("PendingDeploymentSummary", None)
        if green is not None:
            green.drain(60)
            green.close(30)
        self.update(EndpointStatus="InService", FailureReason=reason)

    def _pending(self, summary: Record, variants: list[Record]) -> None:
        with self.records.lock:
            self.record["PendingDeploymentSummary"] = summary | {"ProductionVariants": variants}
            detail = events.deployment_detail(self.record)
        if not self._closed.is_set():
            events.emit("deployment", self.record["EndpointArn"], detail)

    def _started(self, config: Record, served: dict[str, Record]) -> Fleet:
        fleet = Fleet(self.site, self.clients, self.record["EndpointName"], config, served)
        self._coming = fleet
        try:
            fleet.start()
        except FleetError:
            fleet.close(2)
            raise
        finally:
            self._coming = None
        return fleet

    def _watch(self) -> None:
        def watch() -> None:
            while not self._closed.wait(WATCH_SECONDS):
                with self.records.lock:
                    fleets = [self.fleet, self._green and self._green[0]]
                for fleet in fleets:
                    if fleet is not None:
                        fleet.keep_running()
                self._scale()

        threading.Thread(target=watch, daemon=True).start()
