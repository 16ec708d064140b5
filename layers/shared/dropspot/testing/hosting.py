"""SageMaker's hosting in memory."""

from dropspot.errors import InvalidInputError
from dropspot.ports import Endpoint, Request
from dropspot.service_models import assert_valid_request
from dropspot.testing.clock import Clock


class MemoryHosting:
    """SageMaker's models, endpoint configs and endpoints; an endpoint changes its status when a test says so."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.models: dict[str, Request] = {}
        self.configs: dict[str, Request] = {}  # in the order of their creation
        self.endpoints: dict[str, Endpoint] = {}
        self.pending: dict[str, str] = {}  # by endpoint, the config that it is changing to

    def create_model(self, request: Request) -> None:
        assert_valid_request("sagemaker", "CreateModel", request)
        self.models.setdefault(request["ModelName"], request)

    def create_endpoint_config(self, request: Request) -> None:
        assert_valid_request("sagemaker", "CreateEndpointConfig", request)
        for variant in request["ProductionVariants"]:
            if variant["ModelName"] not in self.models:
                raise InvalidInputError(f"SageMaker refused create_endpoint_config: no model {variant['ModelName']}")
        self.configs.setdefault(request["EndpointConfigName"], request)

    def endpoint_config(self, name: str) -> Request | None:
        return self.configs.get(name)

    def endpoint(self, name: str) -> Endpoint | None:
        return self.endpoints.get(name)

    def create_endpoint(self, request: Request) -> None:
        assert_valid_request("sagemaker", "CreateEndpoint", request)
        if request["EndpointName"] in self.endpoints:
            raise InvalidInputError("SageMaker refused create_endpoint: Cannot create already existing endpoint")
        self._change(request, "Creating")

    def update_endpoint(self, request: Request) -> None:
        assert_valid_request("sagemaker", "UpdateEndpoint", request)
        present = self.endpoints.get(request["EndpointName"])
        if present is None or present.status != "InService":
            raise InvalidInputError("SageMaker refused update_endpoint: the endpoint is not in service")
        if "DeploymentConfig" in request and present.variant != self._variant(request["EndpointConfigName"]):
            raise InvalidInputError("SageMaker refused update_endpoint: guardrails need variants of the same name")
        if self._is_asynchronous(request["EndpointConfigName"]) != present.is_asynchronous:
            raise InvalidInputError("SageMaker refused update_endpoint: the kind of endpoint can't be changed")
        self._change(request, "Updating")

    def _change(self, request: Request, status: str) -> None:
        name, config = request["EndpointName"], request["EndpointConfigName"]
        if config not in self.configs:
            raise InvalidInputError(f"SageMaker refused the endpoint: could not find endpoint configuration {config}")
        self.pending[name] = config
        served = self.endpoints[name].config if name in self.endpoints else config
        self.endpoints[name] = self._endpoint(name, status, served)

    def _endpoint(self, name: str, status: str, config: str, reason: str = "") -> Endpoint:
        return Endpoint(
            status,
            config,
            self.clock.now(),
            reason,
            self._variant(config),
            self.pending.get(name, ""),
            self._is_asynchronous(config),
        )

    def _is_asynchronous(self, config: str) -> bool:
        return "AsyncInferenceConfig" in self.configs.get(config, {})

    def _variant(self, config: str) -> str:
        return str(self.configs[config]["ProductionVariants"][0]["VariantName"]) if config in self.configs else ""

    def settle(self, name: str, status: str = "InService", *, config: str | None = None, reason: str = "") -> None:
        """Let an endpoint reach a status with the config that it was asked for, or another one, as after a rollback."""
        config = config or self.pending.get(name) or self.endpoints[name].config
        self.pending.pop(name, None)
        self.endpoints[name] = self._endpoint(name, status, config, reason)

    def delete_endpoint(self, name: str) -> None:
        self.endpoints.pop(name, None)
        self.pending.pop(name, None)

    def endpoint_configs(self, prefix: str) -> list[str]:
        return [name for name in self.configs if name.startswith(prefix)]

    def delete_endpoint_config(self, name: str) -> None:
        self.configs.pop(name, None)

    def model_names(self, prefix: str) -> list[str]:
        return [name for name in self.models if name.startswith(prefix)]

    def delete_model(self, name: str) -> None:
        self.models.pop(name, None)
