"""The service's rules, with a model that answers what the test wants."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from unit.detector.planned_server import JPEG, ROWS, Client, PlannedModel, client

from detector.answers import Answer
from detector.pictures import PictureTooLargeError
from dropspot.errors import InvalidInputError


def refuse(error: Exception) -> Callable[[bytes], Answer]:
    def answer(data: bytes) -> Answer:
        raise error

    return answer


def test_ping_is_healthy_once_the_model_is_proven() -> None:
    waiting = Client(None)
    refused = [waiting.get("/ping"), waiting.post("/invocations")]
    assert [response.status for response in refused] == [503, 503]
    assert all("being loaded" in response.json()["error"] for response in refused)
    assert refused[1].headers["retry-after"] == "1"
    waiting.service.take(PlannedModel(lambda data: Answer(200, 100, ROWS)))
    assert waiting.get("/ping").status == 200
    assert waiting.post("/invocations").status == 200


def test_after_a_failure_the_model_is_proven_anew() -> None:
    model = PlannedModel(refuse(RuntimeError("broken")))
    patient = Client(model)
    assert patient.post("/invocations", b"x").status == 500
    assert patient.get("/ping").status == 200  # a single failure, and the model is fit
    model.broken = True
    assert patient.get("/ping").status == 200  # nothing has failed since
    assert patient.post("/invocations", b"x").status == 500
    response = patient.get("/ping")
    assert (response.status, response.json()) == (503, {"error": "the model fails: RuntimeError"})
    model.broken = False
    assert patient.get("/ping").status == 200


@pytest.mark.parametrize("content_type", ["image/jpeg", "image/png", "application/x-image", "IMAGE/JPEG; q=1"])
def test_a_picture_is_answered_in_the_built_in_algorithms_form(content_type: str) -> None:
    response = client().post("/invocations", b"picture", (("content-type", content_type),))
    assert response.status == 200
    assert response.json() == {"prediction": [[1.0, 0.75, 0.1, 0.2, 0.5, 0.6]]}


def test_every_answer_names_the_run_whose_model_gave_it() -> None:
    named = client(run_id="pets-0123456789").post("/invocations")
    assert named.headers["x-amzn-sagemaker-custom-attributes"] == "run_id=pets-0123456789"
    nameless = client().post("/invocations")
    assert "x-amzn-sagemaker-custom-attributes" not in nameless.headers


def test_pixel_boxes_are_answered_when_asked_for() -> None:
    for accept in ("application/json;annotation=1", "text/html, application/json;annotation=1"):
        assert client().post("/invocations", b"picture", (*JPEG, ("accept", accept))).json() == {
            "image_size": [{"width": 200, "height": 100, "depth": 3}],
            "annotations": [{"class_id": 1, "score": 0.75, "left": 20, "top": 20, "width": 80, "height": 40}],
        }


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", ""])
def test_another_content_type_is_415(content_type: str) -> None:
    response = client().post("/invocations", b"picture", (("content-type", content_type),))
    assert response.status == 415
    assert "image/jpeg" in response.json()["error"]


def test_an_empty_body_and_an_unreadable_picture_are_400() -> None:
    assert client().post("/invocations", b"").status == 400
    response = client(refuse(InvalidInputError("no picture"))).post("/invocations", b"x")
    assert (response.status, response.json()) == (400, {"error": "no picture"})


def test_too_many_bytes_or_pixels_are_413() -> None:
    limited = client(max_body_bytes=10)
    assert limited.post("/invocations", b"x" * 11).status == 413
    assert limited.post("/invocations", (b"x" * 6, b"x" * 6)).status == 413
    assert limited.post("/invocations", b"x" * 10).status == 200
    bomb = client(refuse(PictureTooLargeError("too many pixels"))).post("/invocations", b"x")
    assert (bomb.status, bomb.json()) == (413, {"error": "too many pixels"})


def test_a_picture_for_which_there_is_no_memory_is_413() -> None:
    def large() -> Iterator[bytes]:
        yield b"x"
        raise MemoryError

    for response in (client(refuse(MemoryError())).post("/invocations"), client().post("/invocations", large())):
        assert (response.status, response.json()) == (413, {"error": "the picture does not fit into memory"})
    hungry = client(refuse(MemoryError()))
    assert hungry.post("/invocations").status == 413
    assert hungry.get("/ping").status == 200


def test_a_failing_inference_is_500_and_the_server_lives_on() -> None:
    answers = iter([refuse(RuntimeError("broken")), lambda data: Answer(200, 100, ROWS)])

    def answer(data: bytes) -> Answer:
        return next(answers)(data)

    patient = client(answer)
    failed = patient.post("/invocations", b"x")
    assert failed.status == 500
    assert "RuntimeError" in failed.json()["error"]
    assert patient.post("/invocations", b"x").status == 200


def test_beyond_a_bounded_queue_requests_are_told_to_come_again() -> None:
    release = threading.Event()

    def slow(data: bytes) -> Answer:
        assert release.wait(20)
        return Answer(200, 100, ROWS)

    busy = client(slow, workers=1)
    with ThreadPoolExecutor(20) as crowd:
        posted = [crowd.submit(busy.post, "/invocations") for _ in range(20)]
        done, waiting = wait(posted, timeout=1)
        assert busy.get("/ping").status == 200
        release.set()
    assert {(one.result().status, one.result().headers["retry-after"]) for one in done} == {(503, "1")}
    assert [one.result().status for one in waiting] == [200] * 9  # one at work, eight waiting


def test_a_body_that_takes_too_long_is_told_to_come_again() -> None:
    def late() -> Iterator[bytes]:
        yield b"x"
        raise TimeoutError

    response = client(body_seconds=0.05).post("/invocations", late())
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert "did not arrive within 0.05 s" in response.json()["error"]


def test_the_slowest_picture_is_known() -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(data: bytes) -> Answer:
        begun.set()
        assert release.wait(20)
        return Answer(200, 100, ROWS)

    watched = client(slow)
    with ThreadPoolExecutor(1) as crowd:
        crowd.submit(watched.post, "/invocations")
        assert begun.wait(20)
        time.sleep(0.1)
        assert watched.service.longest_running() >= 0.1
        release.set()
    assert watched.service.longest_running() < 0.05


def test_an_answer_that_is_no_json_is_a_failure() -> None:
    rows = np.array([[0, float("nan"), 0, 0, 1, 1]])
    response = client(lambda data: Answer(2, 2, rows)).post("/invocations", b"x")
    assert (response.status, response.json()) == (500, {"error": "inference failed: ValueError"})


def test_other_methods_and_paths_are_refused_in_the_same_form() -> None:
    for response, status in ((client().get("/invocations"), 405), (client().get("/models"), 404)):
        assert response.status == status
        assert list(response.json()) == ["error"]
    assert client().get("/invocations").headers["allow"] == "POST"


def test_a_path_with_another_slash_is_another_path() -> None:
    posted = client().post("/invocations/")
    for response in (posted, client().get("/ping/"), client().get("/execution-parameters/")):
        assert (response.status, response.json()) == (404, {"error": "Not Found"})
        assert "location" not in response.headers


@pytest.mark.parametrize(("workers", "mebibytes"), [(2, 32), (3, 32), (8, 12), (200, 1)])
def test_a_batch_transform_learns_how_to_send(workers: int, mebibytes: int) -> None:
    """Payload times concurrency may not exceed 100 MB, or SageMaker refuses the job."""
    told = client(workers=workers).get("/execution-parameters").json()
    assert told == {
        "MaxConcurrentTransforms": workers,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": mebibytes,
    }
