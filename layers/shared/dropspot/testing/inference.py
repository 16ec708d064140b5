"""The endpoints' runtime in memory."""

import json
from collections.abc import Callable, Sequence

from dropspot.errors import NotFoundError
from dropspot.ports import Answer

Prediction = Sequence[Sequence[float]]


class MemoryInference:
    """The endpoints' runtime, answering what a test programmed; `images` are the payloads that were received.

    `submitted` are the requests that nobody waited for, as input URI by inference id.
    """

    def __init__(self) -> None:
        self.images: list[bytes] = []
        self.submitted: dict[str, str] = {}
        self._serving: dict[str, tuple[str, Callable[[bytes], Prediction], str]] = {}

    def serve(self, endpoint: str, variant: str, predict: Callable[[bytes], Prediction], attributes: str = "") -> None:
        """Put an endpoint into service; `predict` returns [class_id, score, xmin, ymin, xmax, ymax] rows or raises."""
        self._serving[endpoint] = variant, predict, attributes

    def withdraw(self, endpoint: str) -> None:
        """Take an endpoint out of service."""
        del self._serving[endpoint]

    def invoke(self, endpoint: str, image: bytes) -> Answer:
        if endpoint not in self._serving:
            raise NotFoundError(f"invoke {endpoint}: Endpoint {endpoint} not found")
        self.images.append(image)
        variant, predict, attributes = self._serving[endpoint]
        body = json.dumps({"prediction": [list(row) for row in predict(image)]}).encode()
        return Answer(body, variant, attributes)

    def submit(self, endpoint: str, input_uri: str, inference_id: str) -> None:
        if endpoint not in self._serving:
            raise NotFoundError(f"invoke {endpoint}: Endpoint {endpoint} not found")
        self.submitted[inference_id] = input_uri
