"""The operations on endpoints and their configurations."""

from __future__ import annotations

import time
from collections.abc import Callable

from dropspot_local.sagemaker import models
from dropspot_local.sagemaker.clients import Clients
from dropspot_local.sagemaker.endpoint import Endpoint
from dropspot_local.sagemaker.errors import validation
from dropspot_local.sagemaker.fleet import Fleet
from dropspot_local.sagemaker.state import Record, Records, Site

CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


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
