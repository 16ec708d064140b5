"""The clients of one container: how long they wait, how often they try, and who shares them."""

import threading
from typing import Any

import boto3
from botocore.config import Config

# InvokeEndpoint may take its documented 60 seconds; everything else answers much sooner. One that got no answer
# is repeated once here, and then by the queue: the function has no time for more.
_ATTEMPTS = {"sagemaker-runtime": 2}


class _Clients:
    """The clients of one container, one of each service, made when first asked for; threads share them."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._making = threading.Lock()  # boto3's default session makes one client at a time

    def __call__(self, service: str) -> Any:
        if service not in self._made:
            with self._making:
                if service not in self._made:
                    self._made[service] = self._new(service)
        return self._made[service]

    def cache_clear(self) -> None:
        """Forget them all, for tests that change the environment."""
        self._made.clear()

    @staticmethod
    def _new(service: str) -> Any:
        config = Config(
            connect_timeout=5,
            read_timeout=65,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS.get(service, 4)},
            max_pool_connections=32,  # as many as detect_objects may have threads; they are opened when needed
            tcp_keepalive=True,
        )
        return boto3.client(service, config=config)


client = _Clients()
