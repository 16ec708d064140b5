"""The daily comparison: what outlived the image queue is found, and nothing that is still under way."""

import json
from dataclasses import replace
from typing import Any

import pytest
from handlers import FakeContext, load_handler, load_logic

from dropspot.awaiting import LONGEST_WAIT, MOST_FAILURES
from dropspot.ports import Endpoint
from dropspot.testing import MemoryServices, memory_services

QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/images"
HOUR, DAY = 3600, 86_400
ODD = 'images/a "b"+é\n.jpg'
app = load_handler("audit_images")
overlooked = load_logic("audit_images", "overlooked")


class Time(FakeContext):
    def get_remaining_time_in_millis(self) -> int:
        return 890_000


class Late(FakeContext):
    def get_remaining_time_in_millis(self) -> int:
        return 1000


def settings(mode: str = "realtime") -> Any:
    return app.Settings("dropspot", "bucket", "dropspot-endpoint", image_queue_url=QUEUE, inference_mode=mode)


@pytest.fixture
def world() -> MemoryServices[Any]:
    """Give a bucket with an endpoint in service."""
    world = memory_services(settings())
    world.hosting.endpoints["dropspot-endpoint"] = Endpoint("InService", "config", world.clock.now())
    return world


def audit(world: MemoryServices[Any], of: str = "images", after: str = "", context: Any = None) -> dict[str, bool]:
    """Compare, and return the keys that were handed over, with whether they are to be looked at anew."""
    before = len(world.queues.sent)
    app.handler({"command": "audit_images", "of": of, "after": after, "cause": "e"}, context or Time(), world)
    details = [json.loads(message.body)["detail"] for message in world.queues.sent[before:]]
    return {detail["object"]["key"]: detail["anew"] for detail in details}


def test_what_was_overlooked_is_handed_to_the_image_queue(world: MemoryServices[Any]) -> None:
    for key in ("images/described.jpg", "images/replaced.jpg", ODD):
        world.store.put(key, b"x")
    for key in ("described", "replaced", "orphan"):
        world.store.put(f"detections/{key}.jpg.json", b"{}")
    world.clock.advance(1)
    world.store.put("images/replaced.jpg", b"y")
    world.clock.advance(HOUR)
    world.store.put("images/new.jpg", b"x")
    world.store.put("detections/new orphan.jpg.json", b"{}")
    world.clock.advance(1)
    assert audit(world) == {ODD: False, "images/replaced.jpg": False, "images/orphan.jpg": False}


def test_while_images_wait_only_what_came_before_the_oldest_of_them_is_certain(world: MemoryServices[Any]) -> None:
    world.store.put("images/lost.jpg", b"x")
    world.clock.advance(2 * DAY)
    world.store.put("images/waiting.jpg", b"x")
    world.queues.send(QUEUE, "{}", 0)
    world.clock.advance(12 * DAY)
    assert audit(world) == {}
    world.clock.advance(2 * DAY)
    assert audit(world) == {"images/lost.jpg": False}


def test_in_asynchronous_mode_an_image_may_be_awaited_as_often_as_it_is_asked_about(world: MemoryServices[Any]) -> None:
    world = replace(world, settings=settings("async"))
    world.store.put("images/awaited.jpg", b"x")
    world.clock.advance(MOST_FAILURES * LONGEST_WAIT.total_seconds())
    assert audit(world) == {}
    world.clock.advance(HOUR + 1)
    assert audit(world) == {"images/awaited.jpg": False}


@pytest.mark.parametrize("status", ["Updating", "SystemUpdating"])
def test_an_endpoint_that_is_only_scaled_is_in_service(world: MemoryServices[Any], status: str) -> None:
    world.store.put("images/lost.jpg", b"x")
    world.clock.advance(DAY)
    scaled = replace(world.hosting.endpoints["dropspot-endpoint"], status=status)
    world.hosting.endpoints["dropspot-endpoint"] = scaled
    assert audit(world) == {"images/lost.jpg": False}
    world.hosting.endpoints["dropspot-endpoint"] = replace(scaled, pending="another config")
    assert audit(world) == {}


@pytest.mark.parametrize("status", [None, "Creating", "Failed"])
def test_without_an_endpoint_images_only_wait(world: MemoryServices[Any], status: str | None) -> None:
    world.store.put("images/lost.jpg", b"x")
    world.clock.advance(30 * DAY)
    if status is None:
        world.hosting.endpoints.clear()
    else:
        present = world.hosting.endpoints["dropspot-endpoint"]
        world.hosting.endpoints["dropspot-endpoint"] = replace(present, status=status)
    assert audit(world) == {}


def test_time_that_runs_out_is_followed_by_another_call_behind_the_last_key(
    world: MemoryServices[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlooked, "_PAGE", 2)
    keys = [f"images/{name}" for name in ("a.jpg", ODD.removeprefix("images/"), "c.jpg", "d.jpg", "e.jpg")]
    for key in keys:
        world.store.put(key, b"x")
    for name in "fgh":
        world.store.put(f"detections/{name}.jpg.json", b"{}")
    world.clock.advance(DAY)
    found: dict[str, bool] = {}
    due: dict[str, str] = {}
    calls = 0
    while calls == 0 or len(world.bus.of(overlooked.AUDIT_DUE)) == calls:
        assert all(letter.isalnum() or letter in "/%._-~" for letter in due.get("after", ""))
        world.queues.sent.clear()
        found |= audit(world, due.get("of", "images"), due.get("after", ""), Late())
        calls += 1
        due = (world.bus.of(overlooked.AUDIT_DUE) or [{}])[-1]
    assert list(found) == sorted(keys) + [f"images/{name}.jpg" for name in "fgh"]
    assert calls > 3
