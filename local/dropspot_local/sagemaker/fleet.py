"""What serves one endpoint configuration: a process for each production variant, and who gets the next request."""

from __future__ import annotations

import logging
import random
import threading
import uuid

from dropspot_local.images import UnknownImageError
from dropspot_local.sagemaker.authorization import role_session
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.logs import LogStream
from dropspot_local.sagemaker.serving import ModelServer, NotHealthyError
from dropspot_local.sagemaker.staging import StagingError
from dropspot_local.sagemaker.state import Record, Site

logger = logging.getLogger("dropspot_local")

DEFAULT_HEALTH_SECONDS = 240


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
        self.role = served[config["ProductionVariants"][0]["ModelName"]]["ExecutionRoleArn"]
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

    def enter(self) -> None:
        """Note a request on its way to this fleet, which isn't ended before the request has left."""
        with self._idle:
            self._requests += 1

    def leave(self) -> None:
        """Note that a request has its answer."""
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

    def _health_seconds(self, variant: str) -> float:
        return float(self._variants[variant].get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_HEALTH_SECONDS))


def described(config: Record) -> list[Record]:
    """A configuration's variants as DescribeEndpoint's ProductionVariants."""
    return [
        {
            "VariantName": variant["VariantName"],
            "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
            "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
            "CurrentInstanceCount": variant.get("InitialInstanceCount", 1),
            "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
        }
        for variant in config["ProductionVariants"]
    ]
