import json
from typing import Any

import pytest
from handlers import FakeContext, load_handler

from dropspot import endpoint
from dropspot.errors import TransientError
from dropspot.ports import Endpoint
from dropspot.runs import Run
from dropspot.settings import Settings
from dropspot.testing import MemoryServices, memory_services

app = load_handler("api")

PETS, CARS = Run("dropspot", "pets-0123456789"), Run("dropspot", "cars-9876543210")


class Api:
    """The API over a world in memory, asked as API Gateway asks."""

    def __init__(self) -> None:
        self.services: MemoryServices[Settings] = memory_services(
            Settings("dropspot", "the-bucket", "dropspot-endpoint")
        )
        self._handler = app.build_app(lambda: self.services)

    def ask(
        self,
        method: str,
        resource: str,
        *,
        path: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        body: str | None = None,
        content_type: str | None = "application/json",
    ) -> tuple[int, Any]:
        headers = {"Content-Type": content_type} if content_type else {}
        event = {
            "resource": resource,
            "path": resource.format(**(path or {})),
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()},
            "pathParameters": path,
            "stageVariables": None,
            "requestContext": {"resourcePath": resource, "httpMethod": method, "stage": "v1", "identity": {}},
            "body": body,
            "isBase64Encoded": False,
        }
        answer = self._handler(event, FakeContext())
        return answer["statusCode"], json.loads(answer["body"])

    def record(self, run: Run, dataset: str, created_at: str, **documents: Any) -> None:
        """Leave the documents of a run in the bucket."""
        record = {"run_id": run.run_id, "dataset": dataset, "created_at": created_at}
        for name, document in ({"run": record} | documents).items():
            self.services.store.put_json(run.key(f"{name}.json"), document)


@pytest.fixture
def api() -> Api:
    return Api()


def test_health_before_anything_was_deployed(api: Api) -> None:
    assert api.ask("GET", "/health") == (200, {"app": "dropspot", "endpoint": None, "champion": None})


def test_health_names_the_endpoint_s_status_and_the_run_in_service(api: Api) -> None:
    api.services.hosting.endpoints["dropspot-endpoint"] = Endpoint("InService", "c", api.services.clock.now())
    api.services.store.put_json(endpoint.CHAMPION, {"run_id": PETS.run_id})
    expected = {"app": "dropspot", "endpoint": "InService", "champion": PETS.run_id}
    assert api.ask("GET", "/health") == (200, expected)


def test_runs_are_listed_newest_first(api: Api) -> None:
    assert api.ask("GET", "/runs") == (200, {"runs": []})
    api.record(PETS, "Pets", "2026-11-12T01:00:00Z", prep={}, train={}, eval={}, verdict={"map50": 0.75})
    api.record(CARS, "Cars", "2026-11-12T02:00:00Z", prep={}, failure={"message": "broken"})
    api.services.store.put_json("runs/half-aaaaaaaaaa/listing.json", [])
    assert api.ask("GET", "/runs") == (
        200,
        {
            "runs": [
                {
                    "run_id": CARS.run_id,
                    "dataset": "Cars",
                    "state": "failed",
                    "step": "prep",
                    "created_at": "2026-11-12T02:00:00Z",
                    "map50": None,
                },
                {
                    "run_id": PETS.run_id,
                    "dataset": "Pets",
                    "state": "judged",
                    "step": "verdict",
                    "created_at": "2026-11-12T01:00:00Z",
                    "map50": 0.75,
                },
            ]
        },
    )


def test_what_is_no_run_is_not_listed(api: Api) -> None:
    api.record(PETS, "Pets", "2026-11-12T01:00:00Z")
    api.services.store.put("runs/notes/readme.txt", b"mine")
    status, answer = api.ask("GET", "/runs")
    assert (status, [line["run_id"] for line in answer["runs"]]) == (200, [PETS.run_id])


@pytest.mark.parametrize("written", [PETS.run_id, "pets%2D0123456789"])
def test_a_run_is_shown_with_all_its_documents(api: Api, written: str) -> None:
    listing = [{"key": "a", "etag": "x", "size": 3}, {"key": "b", "etag": "y", "size": 4}]
    verdict, failure = {"status": "refused", "map50": 0.25}, {"step": "eval", "message": "no"}
    api.record(PETS, "Pets", "2026-11-12T01:00:00Z", listing=listing, verdict=verdict, failure=failure)
    api.services.store.put(PETS.key("prepared", "train", "train.rec"), b"no document")
    status, answer = api.ask("GET", "/runs/{run_id}", path={"run_id": written})
    assert status == 200
    assert (answer["run_id"], answer["state"], answer["map50"]) == (PETS.run_id, "failed", 0.25)
    assert answer["documents"] == {
        "run": {"run_id": PETS.run_id, "dataset": "Pets", "created_at": "2026-11-12T01:00:00Z"},
        "listing": {"objects": 2, "bytes": 7},
        "verdict": verdict,
        "failure": failure,
    }


def test_a_run_that_does_not_exist_is_404_and_what_is_no_id_400(api: Api) -> None:
    assert api.ask("GET", "/runs/{run_id}", path={"run_id": PETS.run_id})[0] == 404
    status, answer = api.ask("GET", "/runs/{run_id}", path={"run_id": "..%2F..%2Fendpoint"})
    assert (status, answer["Code"]) == (400, "BadRequestError")
    assert "../../endpoint" in answer["Message"]


@pytest.mark.parametrize("key", ["images/a b+c/100% été.jpg", "images/%2B.jpg"])
def test_an_image_s_document_is_found_by_its_key(api: Api, key: str) -> None:
    api.services.store.put_json(f"detections/{key.removeprefix('images/')}.json", {"status": "detected"})
    assert api.ask("GET", "/detections", query={"key": key}) == (200, {"status": "detected"})


def test_an_image_without_a_document_is_404(api: Api) -> None:
    status, answer = api.ask("GET", "/detections", query={"key": "images/cat.jpg"})
    assert (status, answer["Code"]) == (404, "NotFoundError")


def test_an_unreadable_document_is_404_and_named(api: Api) -> None:
    api.services.store.put("detections/cat.jpg.json", b"not json")
    status, answer = api.ask("GET", "/detections", query={"key": "images/cat.jpg"})
    assert (status, answer["Code"]) == (404, "NotFoundError")
    assert "detections/cat.jpg.json is not JSON" in answer["Message"]


def test_what_is_no_document_is_not_listed(api: Api) -> None:
    for name in ("cat.jpg.json", "notes.txt", ".json"):
        api.services.store.put(f"detections/{name}", b"{}")
    expected = {"keys": ["images/cat.jpg"], "truncated": False}
    assert api.ask("GET", "/detections", query={"prefix": "images/"}) == (200, expected)


def test_described_images_are_listed_by_prefix(api: Api) -> None:
    for name in ("a/1.jpg", "a/b/2.jpg", "c/3.jpg", "a+b é.jpg"):
        api.services.store.put_json(f"detections/{name}.json", {})
    expected = {"keys": ["images/a/1.jpg", "images/a/b/2.jpg"], "truncated": False}
    assert api.ask("GET", "/detections", query={"prefix": "images/a/"}) == (200, expected)
    assert api.ask("GET", "/detections", query={"prefix": "images/a+"})[1]["keys"] == ["images/a+b é.jpg"]
    assert len(api.ask("GET", "/detections", query={"prefix": "images/"})[1]["keys"]) == 4
    assert api.ask("GET", "/detections", query={"prefix": "images/none"})[1]["keys"] == []


def test_a_long_list_is_cut_and_says_so(api: Api) -> None:
    for number in range(1001):
        api.services.store.put(f"detections/{number:04}.jpg.json", b"{}")
    answer = api.ask("GET", "/detections", query={"prefix": "images/"})[1]
    assert (len(answer["keys"]), answer["truncated"]) == (1000, True)


@pytest.mark.parametrize(
    "query",
    [
        None,
        {"key": "images/a.jpg", "prefix": "images/"},
        {"name": "x"},
        {"key": "runs/pets-0123456789/run.json"},
        {"key": "images/"},
        {"prefix": "runs/"},
        {"prefix": ""},
    ],
)
def test_a_question_about_no_images_is_400(api: Api, query: dict[str, str] | None) -> None:
    assert api.ask("GET", "/detections", query=query)[0] == 400


def _served(api: Api) -> None:
    """Two runs that were in service one after the other, and one that never was."""
    for run, created_at in ((CARS, "2026-01-01T00:00:00Z"), (PETS, "2026-01-02T00:00:00Z")):
        api.record(run, "pets", created_at, champion={"run_id": run.run_id})
    api.record(Run("dropspot", "pets-1111111111"), "pets", "2026-01-03T00:00:00Z")
    champion = endpoint.Deployment(PETS, "pets", "2026-01-01T00:00:00Z").document
    api.services.store.put_json(endpoint.CHAMPION, champion | {"before": [CARS.run_id]})


@pytest.mark.parametrize(
    ("body", "run"),
    [(None, CARS), ("{}", CARS), (f'{{"run_id": "{CARS.run_id}"}}', CARS), (f'{{"run_id": "{PETS.run_id}"}}', PETS)],
)
def test_a_rollback_is_put_on_the_bus_with_the_run_that_is_meant(api: Api, body: str | None, run: Run) -> None:
    _served(api)
    status, answer = api.ask("POST", "/rollbacks", body=body)
    [event] = api.services.bus.events
    assert (status, answer) == (202, {"event_id": event.event_id, "run_id": run.run_id})
    assert (event.detail_type, event.detail) == ("Rollback Requested", {"run_id": run.run_id})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"run": "x"}', 400),
        ("[]", 400),
        ('{"run_id": 3}', 400),
        ('{"run_id": "no id"}', 400),
        ('{"run_id": "pets-1111111111"}', 400),
        ('{"run_id": "pets-2222222222"}', 404),
    ],
)
def test_a_rollback_that_makes_no_sense_is_not_asked_for(api: Api, body: str, status: int) -> None:
    _served(api)
    assert api.ask("POST", "/rollbacks", body=body)[0] == status
    assert api.services.bus.events == []


def test_there_is_nothing_to_go_back_to_before_a_second_model(api: Api) -> None:
    assert api.ask("POST", "/rollbacks") == (
        400,
        {"Code": "BadRequestError", "Message": "roll back: no model was in service before the present one"},
    )


def test_a_retraining_of_a_data_set_is_put_on_the_bus(api: Api) -> None:
    api.services.store.put("datasets/my pets/images.tar.gz", b"")
    status, answer = api.ask("POST", "/retrainings", body='{"dataset": "my pets"}')
    (event,) = api.services.bus.events
    assert (status, answer) == (202, {"event_id": event.event_id})
    assert (event.detail_type, event.detail) == ("Retraining Requested", {"dataset": "my pets"})


@pytest.mark.parametrize(("body", "content_type"), [("{}", "application/json"), (None, "application/json"), ("", None)])
def test_a_retraining_of_what_is_in_service_needs_no_name(api: Api, body: str | None, content_type: str | None) -> None:
    assert api.ask("POST", "/retrainings", body=body, content_type=content_type)[0] == 202
    assert api.services.bus.of("Retraining Requested") == [{}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("no json", 400),
        ("[]", 400),
        ("null", 400),
        ('{"dataset": 3}', 400),
        ('{"dataset": ""}', 400),
        ('{"dataset": null}', 400),
        ('{"dataset": "a/b"}', 400),
        ('{"dataset": "\\ud800"}', 400),
        ('{"dataset": "pets", "epochs": 3}', 400),
        ('{"dataset": "nowhere"}', 404),
    ],
)
def test_a_retraining_that_makes_no_sense_is_not_asked_for(api: Api, body: str, status: int) -> None:
    api.services.store.put("datasets/pets/images.tar.gz", b"")
    assert api.ask("POST", "/retrainings", body=body)[0] == status
    assert api.services.bus.events == []


def test_what_may_succeed_later_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def endpoint(name: str) -> None:
        raise TransientError("describe endpoint: ThrottlingException")

    monkeypatch.setattr(api.services.hosting, "endpoint", endpoint)
    status, answer = api.ask("GET", "/health")
    assert (status, answer["Message"]) == (503, "describe endpoint: ThrottlingException")


def test_an_unknown_error_is_500_and_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def endpoint(name: str) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(api.services.hosting, "endpoint", endpoint)
    status, answer = api.ask("GET", "/health")
    assert status == 500
    assert "secret" not in str(answer)


ROUTES = {
    ("GET", "/health"),
    ("GET", "/runs"),
    ("GET", "/runs/{run_id}"),
    ("GET", "/detections"),
    ("POST", "/retrainings"),
    ("POST", "/rollbacks"),
}


def test_the_routes_are_these() -> None:
    assert {(method, path) for path, methods in app.app.routes.items() for method in methods} == ROUTES
