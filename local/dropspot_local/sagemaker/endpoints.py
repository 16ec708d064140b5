"""The operations on endpoints and their configurations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dropspot_local.sagemaker import guardrails, models
from dropspot_local.sagemaker.asynchronous import AsyncQueue, Capacity
from dropspot_local.sagemaker.authorization import check_role_may_describe
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
        self.on_deleted: list[Callable[[str], None]] = []  # told the name of each endpoint that is gone

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
            if record["EndpointStatus"] != "InService":
                raise validation(
                    f'Cannot update endpoint "{record["EndpointArn"]}" in status {record["EndpointStatus"]}.'
                )
            config, served = self._config_and_models(request["EndpointConfigName"])
            self._refuse_another_kind(config, record)
            config = guardrails.retained(config, request, record["ProductionVariants"])
            deployment = self._deployment(request, record)
            if deployment:
                guardrails.check_variants(deployment, config, record["ProductionVariants"])
            policy = guardrails.policy(deployment, smallest_fleet(config))
            endpoint = self._live[name]
        self._check_alarms(policy, served)
        with self._records.lock:
            self._refuse_while_changing("update", record)
            record["EndpointStatus"] = "Updating"
            if deployment:
                record["LastDeploymentConfig"] = deployment
        endpoint.update(EndpointStatus="Updating")
        endpoint.change(endpoint.replace, config, served, policy)
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
            for tell in self.on_deleted:
                tell(name)

        endpoint.change(endpoint.take_down, forget)
        return {}

    def describe(self, request: Record) -> Record:
        """DescribeEndpoint."""
        with self._records.lock:
            return dict(self._record(request["EndpointName"]))

    @contextmanager
    def serving(self, name: str, variant: str | None = None) -> Iterator[Fleet | None]:
        """The fleet that answers one request to the endpoint, kept until that is done; None when there is none."""
        with self._records.lock:
            endpoint = self._live.get(name)
        if endpoint is None:
            yield None
            return
        with endpoint.serving(variant) as fleet:
            yield fleet

    def queue(self, name: str) -> tuple[AsyncQueue | None, Record | None]:
        """The queue of an asynchronous endpoint, and the configuration that is in service; None where there is none."""
        with self._records.lock:
            endpoint = self._live.get(name)
            return (endpoint.queue, endpoint.config) if endpoint else (None, None)

    def is_scalable(self, name: str, variant: str) -> bool:
        """Whether this is a variant of an asynchronous endpoint that is in service."""
        with self._records.lock:
            endpoint = self._live.get(name)
            return endpoint is not None and endpoint.queue is not None and variant in endpoint.variants

    def scale(self, name: str, capacity: Capacity | None) -> None:
        """Tell an endpoint how its instances come and go; None: they stay as they are."""
        with self._records.lock:
            if endpoint := self._live.get(name):
                endpoint.capacity = capacity

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
    def _deployment(request: Record, record: Record) -> Record:
        """The deployment's configuration: the request's own, or the last one where that shall be used again."""
        if not request.get("RetainDeploymentConfig"):
            return dict(request.get("DeploymentConfig", {}))
        if "DeploymentConfig" in request:
            raise validation("RetainDeploymentConfig can't be true where a DeploymentConfig is given.")
        return dict(record.get("LastDeploymentConfig", {}))

    def _check_alarms(self, policy: guardrails.Policy, served: dict[str, Record]) -> None:
        """The execution role of every model must be allowed to look at the alarms, and the alarms must be there."""
        for model in served.values():
            for alarm in policy.alarms:
                check_role_may_describe(self._site, model["ExecutionRoleArn"], alarm)
        guardrails.Alarms(self._clients["cloudwatch"], policy.alarms).check_known()

    @staticmethod
    def _refuse_another_kind(config: Record, record: Record) -> None:
        if ("AsyncInferenceConfig" in config) == ("AsyncInferenceConfig" in record):
            return
        what = "removed from" if "AsyncInferenceConfig" in record else "added to"
        raise validation(
            f"The AsyncInferenceConfig parameter cannot be {what} this endpoint {record['EndpointName']}. To change "
            "the endpoint's type, delete it and create it again."
        )

    @staticmethod
    def _refuse_while_changing(what: str, record: Record) -> None:
        if record["EndpointStatus"] in CHANGING:
            raise validation(f'Cannot {what} in-progress endpoint "{record["EndpointArn"]}".')


def smallest_fleet(config: Record) -> int:
    """The instances of the variant that has fewest: a deployment's batches must be possible for each."""
    return min(int(variant["InitialInstanceCount"]) for variant in config["ProductionVariants"])
