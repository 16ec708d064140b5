"""The service without a network, with a model that answers what the test wants."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.answers import Answer
from detector.messages import Request, Response
from detector.service import DetectionService

ROWS = np.array([[1, 0.75, 0.1, 0.2, 0.5, 0.6]])
JPEG = (("content-type", "image/jpeg"),)

Body = bytes | Iterable[bytes]


class PlannedModel:
    """Answers with what a function says; is fit or broken as the test wants."""

    def __init__(self, answer: Callable[[bytes], Answer]) -> None:
        self.detect = answer
        self.broken = False

    def prove(self) -> None:
        if self.broken:
            raise RuntimeError("weights are gone")


@dataclass(frozen=True)
class Told:
    """An answer, taken apart."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status.value

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.response.headers.items()}

    def json(self) -> Any:
        return json.loads(self.response.body)


class Client:
    """Sends single requests to a service; without a model it has not been loaded yet."""

    def __init__(self, model: PlannedModel | None, **options: Any) -> None:
        self.service = DetectionService(**({"workers": 2, "max_body_bytes": 32 << 20} | options))
        if model is not None:
            self.service.take(model)

    def request(self, method: str, path: str, body: Body, headers: Sequence[tuple[str, str]]) -> Told:
        """Send a body, whose length is announced where it is in one piece; parts may be a generator that waits."""
        length = {"content-length": str(len(body))} if isinstance(body, bytes) else {}
        parts = [body] if isinstance(body, bytes) else body

        def receive(seconds: float) -> Iterator[bytes]:
            yield from parts

        request = Request(method, path, length | dict(headers))
        return Told(self.service.answer(request, receive))

    def get(self, path: str) -> Told:
        return self.request("GET", path, b"", ())

    def post(self, path: str, body: Body = b"picture", headers: Sequence[tuple[str, str]] = JPEG) -> Told:
        return self.request("POST", path, body, headers)


def client(answer: Callable[[bytes], Answer] = lambda data: Answer(200, 100, ROWS), **options: Any) -> Client:
    return Client(PlannedModel(answer), **options)
