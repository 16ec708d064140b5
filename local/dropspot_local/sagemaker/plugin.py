"""Where ministack's requests for SageMaker arrive."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path

from ministack.app import extract_access_key_id
from ministack.core.responses import get_account_id, get_region

from dropspot_local.images import ImageTable
from dropspot_local.sagemaker import asynchronous, runtime
from dropspot_local.sagemaker.authorization import ADMINISTRATOR, Caller, authorize_invocation
from dropspot_local.sagemaker.errors import Response, ServiceError
from dropspot_local.sagemaker.service import Service
from dropspot_local.sagemaker.state import Record, Site

CONTROL = "EmbeddedCloud"
"""The target of operations that only this cloud has, where SageMaker's begin with its name."""
THREADS = 64
"""Requests at work at once: invocations wait for a container up to a minute, so they need threads of their own."""


class SageMakerPlugin:
    """One Service for every account and region that calls."""

    def __init__(self, *, root: Path, state: Path, endpoint_url: str, images: ImageTable) -> None:
        self._root, self._state, self._endpoint_url, self._images = root, state, endpoint_url, images
        self._services: dict[tuple[str, str], Service] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sagemaker")

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        """Answer one request, away from the event loop."""
        answer = partial(copy_context().run, self._answer, method, path, headers, body, query)
        return await asyncio.get_running_loop().run_in_executor(self._threads, answer)

    async def handle_scaling(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        """Answer one request for Application Auto Scaling."""
        del method, path
        caller = Caller(extract_access_key_id(headers, query))
        return self._service().scaling.answer(headers, body, caller)

    def administer(self, operation: str, request: Record) -> Record:
        """Carry out an operation for the account and region of the current context, as its root user."""
        return self._service().call(operation, request, Caller(ADMINISTRATOR.access_key))

    def close(self) -> None:
        """End every job and endpoint."""
        for service in self._services.values():
            service.close()

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        service = self._service()
        caller = Caller(extract_access_key_id(headers, query))
        asked = runtime.invocation(method, path)
        if asked is not None:
            operation, endpoint = asked
            try:
                service.faults.check(operation, {})
                authorize_invocation(service.site, caller, operation, endpoint)
                if operation == "InvokeEndpointAsync":
                    return asynchronous.invoke(service.endpoints, service.site.account, endpoint, headers)
                return runtime.invoke(service.endpoints, service.site.account, endpoint, headers, body)
            except ServiceError as error:
                return error.runtime_response()
        try:
            answer = self._call(service, caller, headers, body, path)
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
        except ServiceError as error:
            return error.control_plane_response()

    def _call(self, service: Service, caller: Caller, headers: dict[str, str], body: bytes, path: str) -> object:
        target, _, operation = headers.get("x-amz-target", "").rpartition(".")
        if not operation:
            raise ServiceError("UnknownOperationException", f"The embedded cloud doesn't support SageMaker's {path}.")
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", f"The request isn't JSON: {error}") from None
        if not isinstance(request, dict):
            raise ServiceError("SerializationException", "The request must be a JSON object.")
        if target == CONTROL:
            return service.control(operation, request, caller)
        return service.call(operation, request, caller)

    def _service(self) -> Service:
        key = (get_account_id(), get_region())
        if key not in self._services:
            site = Site(self._root, self._state, self._endpoint_url, self._images, *key)
            self._services.setdefault(key, Service(site))
        return self._services[key]
