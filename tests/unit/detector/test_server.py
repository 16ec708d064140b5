"""The server's rules, over ASGI, with a model that answers what the test wants."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest

from detector.answers import Answer
from detector.pictures import PictureTooLargeError
from detector.server import DetectionServer
from dropspot.errors import InvalidInputError

ROWS = np.array([[1, 0.75, 0.1, 0.2, 0.5, 0.6]])
JPEG = {"content-type": "image/jpeg"}


class PlannedModel:
    """Answers with what a function says."""

    def __init__(self, answer: Callable[[bytes], Answer]) -> None:
        self.detect = answer


class Client:
    """Sends single requests to a server without a network."""

    def __init__(self, answer: Callable[[bytes], Answer], **options: int) -> None:
        self._app = DetectionServer(PlannedModel(answer), **({"workers": 2} | options)).app

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


def client(answer: Callable[[bytes], Answer] = lambda data: Answer(200, 100, ROWS), **options: int) -> Client:
    return Client(answer, **options)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def refuse(error: Exception) -> Callable[[bytes], Answer]:
    def answer(data: bytes) -> Answer:
        raise error

    return answer


def test_ping_is_healthy() -> None:
    assert client().get("/ping").status_code == 200


@pytest.mark.parametrize("content_type", ["image/jpeg", "image/png", "application/x-image", "IMAGE/JPEG; q=1"])
def test_a_picture_is_answered_in_the_built_in_algorithms_form(content_type: str) -> None:
    response = client().post("/invocations", content=b"picture", headers={"content-type": content_type})
    assert response.status_code == 200
    assert response.json() == {"prediction": [[1.0, 0.75, 0.1, 0.2, 0.5, 0.6]]}


def test_pixel_boxes_are_answered_when_asked_for() -> None:
    headers = JPEG | {"accept": "application/json;annotation=1"}
    assert client().post("/invocations", content=b"picture", headers=headers).json() == {
        "image_size": [{"width": 200, "height": 100, "depth": 3}],
        "annotations": [{"class_id": 1, "score": 0.75, "left": 20, "top": 20, "width": 80, "height": 40}],
    }


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", ""])
def test_another_content_type_is_415(content_type: str) -> None:
    response = client().post("/invocations", content=b"picture", headers={"content-type": content_type})
    assert response.status_code == 415
    assert "image/jpeg" in response.json()["error"]


def test_an_empty_body_and_an_unreadable_picture_are_400() -> None:
    assert client().post("/invocations", content=b"", headers=JPEG).status_code == 400
    response = client(refuse(InvalidInputError("no picture"))).post("/invocations", content=b"x", headers=JPEG)
    assert (response.status_code, response.json()) == (400, {"error": "no picture"})


def test_too_many_bytes_or_pixels_are_413() -> None:
    limited = client(max_body_bytes=10)
    assert limited.post("/invocations", content=b"x" * 11, headers=JPEG).status_code == 413
    assert limited.post("/invocations", content=chunks(b"x" * 6, b"x" * 6), headers=JPEG).status_code == 413
    assert limited.post("/invocations", content=b"x" * 10, headers=JPEG).status_code == 200
    bomb = client(refuse(PictureTooLargeError("too many pixels"))).post("/invocations", content=b"x", headers=JPEG)
    assert (bomb.status_code, bomb.json()) == (413, {"error": "too many pixels"})


def test_a_failing_inference_is_500_and_the_server_lives_on() -> None:
    answers = iter([refuse(RuntimeError("broken")), lambda data: Answer(200, 100, ROWS)])

    def answer(data: bytes) -> Answer:
        return next(answers)(data)

    patient = client(answer)
    failed = patient.post("/invocations", content=b"x", headers=JPEG)
    assert failed.status_code == 500
    assert "RuntimeError" in failed.json()["error"]
    assert patient.post("/invocations", content=b"x", headers=JPEG).status_code == 200


def test_beyond_a_bounded_queue_requests_are_told_to_come_again() -> None:
    release = threading.Event()

    def slow(data: bytes) -> Answer:
        assert release.wait(20)
        return Answer(200, 100, ROWS)

    async def crowd() -> tuple[list[httpx.Response], list[httpx.Response]]:
        async with client(slow, workers=1).connected() as busy:
            tasks = [
                asyncio.create_task(busy.post("/invocations", content=b"x", headers=JPEG, timeout=20))
                for _ in range(20)
            ]
            done, waiting = await asyncio.wait(tasks, timeout=1)
            assert (await busy.get("/ping")).status_code == 200  # the event loop is free while the worker is not
            release.set()
            return [task.result() for task in done], list(await asyncio.gather(*waiting))

    refused, answered = asyncio.run(crowd())
    assert {(response.status_code, response.headers["retry-after"]) for response in refused} == {(503, "1")}
    assert [response.status_code for response in answered] == [200] * 9  # one at work, eight waiting


def test_other_methods_and_paths_are_refused() -> None:
    assert client().get("/invocations").status_code == 405
    assert client().get("/models").status_code == 404


def test_a_batch_transform_learns_how_to_send() -> None:
    told = client(max_body_bytes=32 << 20).get("/execution-parameters").json()
    assert told == {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 32}
