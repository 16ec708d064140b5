"""The server over ASGI, with a model that answers what the test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np

from detector.answers import Answer
from detector.server import DetectionServer

ROWS = np.array([[1, 0.75, 0.1, 0.2, 0.5, 0.6]])
JPEG = {"content-type": "image/jpeg"}


class PlannedModel:
    """Answers with what a function says; is fit or broken as the test wants."""

    def __init__(self, answer: Callable[[bytes], Answer]) -> None:
        self.detect = answer
        self.broken = False

    def prove(self) -> None:
        if self.broken:
            raise RuntimeError("weights are gone")


class Client:
    """Sends single requests to a server without a network; without a model it has not been loaded yet."""

    def __init__(self, model: PlannedModel | None, **options: Any) -> None:
        self.server = DetectionServer(**({"workers": 2, "max_body_bytes": 32 << 20} | options))
        if model is not None:
            self.server.take(model)
        self._app = self.server.app

    def connected(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://server")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with self.connected() as connected:
                return await connected.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


def client(answer: Callable[[bytes], Answer] = lambda data: Answer(200, 100, ROWS), **options: Any) -> Client:
    return Client(PlannedModel(answer), **options)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
