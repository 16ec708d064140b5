"""Endpoints and their configurations: fleets of served models that are replaced without a gap."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from dropspot_local.images import UnknownImageError
from dropspot_local.sagemaker import events, models
from dropspot_local.sagemaker.authorization import role_session
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.jobs import INTERNAL_ERROR
from dropspot_local.sagemaker.logs import LogStream
from dropspot_local.sagemaker.serving import ModelServer, NotHealthyError
from dropspot_local.sagemaker.staging import StagingError
from dropspot_local.sagemaker.state import Record, Records, Site

logger = logging.getLogger("dropspot_local")

DEFAULT_HEALTH_SECONDS = 240
WATCH_SECONDS = 0.5
CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class FleetError(Exception):
    """A fleet didn't come up; the text becomes the endpoint's FailureReason."""


class Fleet:
    """What serves one endpoint configuration: a process for each production variant."""

    def __init__(self, site: Site, clients: Clients, endpoint: str, config: Record, served: dict[str, Record]) -> None:
        self.config = config
        self._log_group = f"/aws/sagemaker/Endpoints/{endpoint}"
        self._logs: list[LogStream] = []
        self._idle = threading.Condition()
        self._requests = 0
        self.servers: dict[str, ModelServer] = {}
        self._variants: dict[str, Record] = {
            variant["VariantName"]: variant for variant in config["ProductionVariants"]
        }
        folder = site.state / "work" / f"endpoint-{endpoint}-{uuid.uuid4().hex[:8]}"
        try:
            for name, variant in self._variants.items():
                log = LogStream(clients["logs"], self._log_group, f"{name}/i-{uuid.uuid4().hex[:17]}")
                self._logs.append(log)
                model = served[variant["ModelName"]]
                s3 = Clients(site, role_session(site, model["ExecutionRoleArn"], endpoint))["s3"]
                self.servers[name] = ModelServer(site, s3, model, folder / name, log, {})
        except UnknownImageError as error:
            self.close(0)
            raise FleetError(str(error)) from error

    def start(self) -> None:
        """Bring every variant up; FleetError in the service's words when one doesn't get healthy."""
        for name, server in self.servers.items():
            try:
                server.start(self._health_seconds(name))
            except NotHealthyError:
                raise FleetError(
                    f"The primary container for production variant {name} did not pass the ping health check. Please "
                    "check CloudWatch logs for this endpoint."
                ) from None
            except StagingError as error:
                raise FleetError(f"Failed to download model data for production variant {name}: {error}") from error

    def keep_running(self) -> None:
        """Start containers that have ended again; one that stays down is tried again next time."""
        for name, server in self.servers.items():
            try:
                server.ensure_running(self._health_seconds(name))
            except NotHealthyError:
                logger.warning("The container of variant %s doesn't come up again", name)

    def choose(self) -> str:
        """A variant for the next request, by weight."""
        names = list(self._variants)
        weights = [self._variants[name].get("InitialVariantWeight", 1.0) for name in names]
        return random.choices(names, weights if any(weights) else None)[0]  # noqa: S311 - traffic, no secret

    def request(self, variant: str, ask: Callable[[ModelServer], Any]) -> Any:
        """Ask the variant's server; the fleet isn't ended before the answer is there."""
        with self._idle:
            self._requests += 1
        try:
            return ask(self.servers[variant])
        finally:
            with self._idle:
                self._requests -= 1
                self._idle.notify_all()

    def drain(self, seconds: float) -> None:
        """Wait until no request is under way."""
        with self._idle:
            self._idle.wait_for(lambda: self._requests == 0, timeout=seconds)

    def cancel(self) -> None:
        """Make a start that is under way give up."""
        for server in self.servers.values():
            server.cancel()

    def close(self, grace_seconds: float) -> None:
        """End all processes."""
        for server in self.servers.values():
            server.close(grace_seconds)
        for log in self._logs:
            log.close()

    def described(self) -> list[Record]:
        """As DescribeEndpoint's ProductionVariants."""
        return [
            {
                "VariantName": name,
                "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
                "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                "CurrentInstanceCount": variant.get("InitialInstanceCount", 1),
                "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
            }
            for name, variant in self._variants.items()
        ]

    def _health_seconds(self, variant: str) -> float:
        return float(self._variants[variant].get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_HEALTH_SECONDS))


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


class Endpoints:
    """The operations on endpoints and endpoint configurations."""

    def __init__(self, site: Site, records: Records, clients: Clients) -> None:
        self._site, self._records, self._clients = site, records, clients
        self._live: dict[str, Endpoint] = {}

    def create_config(self, request: Record) -> Record:
        """CreateEndpointConfig: every variant's model must exist."""
        name = request["EndpointConfigName"]
        arn = self._site.arn("endpoint-config", name)
        variants = request["ProductionVariants"]
        with self._records.lock:
            if name in self._records.endpoint_configs:
                raise validation(f'Cannot create already existing endpoint configuration "{arn}".')
            if len({variant["VariantName"] for variant in variants}) != len(variants):
                raise validation("Production variant names must be unique.")
            for variant in variants:
                for field in ("ModelName", "InstanceType", "InitialInstanceCount"):
                    if field not in variant:
                        raise validation(f"{field} must be given for production variant {variant['VariantName']}.")
                models.find(self._site, self._records, variant["ModelName"])
            kept = {field: value for field, value in request.items() if field != "Tags"}
            kept["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **variant} for variant in variants]
            self._records.endpoint_configs[name] = {**kept, "EndpointConfigArn": arn, "CreationTime": time.time()}
        return {"EndpointConfigArn": arn}

    def describe_config(self, request: Record) -> Record:
        """DescribeEndpointConfig."""
        return dict(self._config(request["EndpointConfigName"]))

    def delete_config(self, request: Record) -> Record:
        """DeleteEndpointConfig: the service lets it go even while an endpoint uses it; that endpoint serves on."""
        with self._records.lock:
            self._config(request["EndpointConfigName"])
            del self._records.endpoint_configs[request["EndpointConfigName"]]
        return {}

    def create(self, request: Record) -> Record:
        """CreateEndpoint."""
        name, arn, now = request["EndpointName"], self._site.arn("endpoint", request["EndpointName"]), time.time()
        with self._records.lock:
            if name in self._records.endpoints:
                raise validation(f'Cannot create already existing endpoint "{arn}".')
            config, served = self._config_and_models(request["EndpointConfigName"])
            record = {
                "EndpointName": name,
                "EndpointArn": arn,
                "EndpointConfigName": request["EndpointConfigName"],
                "EndpointStatus": "Creating",
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._records.endpoints[name] = record
            endpoint = self._live[name] = Endpoint(self._site, self._records, self._clients, record)
        endpoint.update(EndpointStatus="Creating")
        endpoint.change(endpoint.bring_up, config, served)
        return {"EndpointArn": arn}

    def update(self, request: Record) -> Record:
        """UpdateEndpoint; refused while another change is under way."""
        name = request["EndpointName"]
        with self._records.lock:
            record = self._record(name)
            self._refuse_while_changing("update", record)
            config, served = self._config_and_models(request["EndpointConfigName"])
            endpoint = self._live[name]
            record["EndpointStatus"] = "Updating"
        endpoint.update(EndpointStatus="Updating")
        endpoint.change(endpoint.replace, config, served)
        return {"EndpointArn": record["EndpointArn"]}

    def delete(self, request: Record) -> Record:
        """DeleteEndpoint; refused while a change is under way."""
        name = request["EndpointName"]
        with self._records.lock:
            record = self._record(name)
            self._refuse_while_changing("delete", record)
            endpoint = self._live[name]
            record["EndpointStatus"] = "Deleting"
        endpoint.update(EndpointStatus="Deleting")

        def forget() -> None:
            with self._records.lock:
                del self._records.endpoints[name], self._live[name]

        endpoint.change(endpoint.take_down, forget)
        return {}

    def describe(self, request: Record) -> Record:
        """DescribeEndpoint."""
        with self._records.lock:
            return dict(self._record(request["EndpointName"]))

    def serving(self, name: str) -> Fleet | None:
        """The fleet that answers for the endpoint; None when there is none."""
        with self._records.lock:
            endpoint = self._live.get(name)
            return endpoint.fleet if endpoint else None

    def abandon(self) -> list[Callable[[float], None]]:
        """What ends each endpoint, within so many seconds, because the cloud goes away."""
        with self._records.lock:
            return [endpoint.abandon for endpoint in self._live.values()]

    def _config(self, name: str) -> Record:
        with self._records.lock:
            if name not in self._records.endpoint_configs:
                arn = self._site.arn("endpoint-config", name)
                raise validation(f'Could not find endpoint configuration "{arn}".')
            return self._records.endpoint_configs[name]

    def _record(self, name: str) -> Record:
        if name not in self._records.endpoints:
            raise validation(f'Could not find endpoint "{self._site.arn("endpoint", name)}".')
        return self._records.endpoints[name]

    def _config_and_models(self, name: str) -> tuple[Record, dict[str, Record]]:
        config = self._config(name)
        wanted = {variant["ModelName"] for variant in config["ProductionVariants"]}
        return dict(config), {model: dict(models.find(self._site, self._records, model)) for model in wanted}

    @staticmethod
    def _refuse_while_changing(what: str, record: Record) -> None:
        if record["EndpointStatus"] in CHANGING:
            raise validation(f'Cannot {what} in-progress endpoint "{record["EndpointArn"]}".')
