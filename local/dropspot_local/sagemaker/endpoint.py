"""One endpoint: the fleet that answers, and the one change that may be under way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from dropspot_local.sagemaker import events
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.fleet import Fleet, FleetError
from dropspot_local.sagemaker.jobs import INTERNAL_ERROR
from dropspot_local.sagemaker.state import Record, Records, Site

logger = logging.getLogger("dropspot_local")

WATCH_SECONDS = 0.5


class Endpoint:
    """One endpoint: its record, the fleet that answers, and the one change that may be under way."""

    def __init__(self, site: Site, records: Records, clients: Clients, record: Record) -> None:
        self.site, self.records, self.clients, self.record = site, records, clients, record
        self.fleet: Fleet | None = None
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

    def bring_up(self, config: Record, served: dict[str, Record]) -> None:
        """Creation: InService once the fleet is healthy, else Failed."""
        try:
            fleet = self._started(config, served)
        except FleetError as error:
            self.update(EndpointStatus="Failed", FailureReason=str(error))
            return
        with self.records.lock:
            self.fleet = fleet
        self.update(EndpointStatus="InService", ProductionVariants=fleet.described())
        self._watch()

    def replace(self, config: Record, served: dict[str, Record]) -> None:
        """Update, blue/green: traffic moves once the new fleet is healthy. When it never is, the old one serves on."""
        try:
            fleet = self._started(config, served)
        except FleetError as error:
            with self.records.lock:
                was_serving = self.fleet is not None
            if was_serving:
                self.update(EndpointStatus="RollingBack")
                self.update(EndpointStatus="InService", FailureReason=str(error))
            else:
                self.update(EndpointStatus="Failed", FailureReason=str(error))
            return
        with self.records.lock:
            old, self.fleet = self.fleet, fleet
            self.record.pop("FailureReason", None)
        self.update(
            EndpointStatus="InService",
            EndpointConfigName=config["EndpointConfigName"],
            ProductionVariants=fleet.described(),
        )
        if old is None:
            self._watch()
        else:
            old.drain(60)
            old.close(30)

    def take_down(self, forget: Callable[[], None]) -> None:
        """Deletion: the processes end, then the record goes. The service sends no event for the latter."""
        self._closed.set()
        with self.records.lock:
            fleet, self.fleet = self.fleet, None
        if fleet is not None:
            fleet.drain(60)
            fleet.close(30)
        forget()

    def abandon(self, seconds: float) -> None:
        """End everything because the cloud goes away."""
        self._closed.set()
        if self._coming is not None:
            self._coming.cancel()
        if self._worker is not None:
            self._worker.join(timeout=seconds)
        if self.fleet is not None:
            self.fleet.close(2)

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
                if self.fleet is not None:
                    self.fleet.keep_running()

        threading.Thread(target=watch, daemon=True).start()
