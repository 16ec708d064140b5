"""Who makes room where bodies under way have too many bytes together."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from unit.detector.planned_server import JPEG, ROWS, client

from detector.answers import Answer

SECONDS = 20.0


class Hoarder:
    """A body that comes but for its end, which it keeps back until it is released."""

    def __init__(self, size: int, end: bytes = b"x") -> None:
        self._size, self._end = size, end
        self.begun, self.release = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"x" * self._size
        self.begun.set()
        while not self.release.wait(0.01):
            yield b""  # nothing has come for a moment
        yield self._end


def test_bodies_that_are_under_way_are_bounded_together() -> None:
    limited, hoarders = client(max_body_bytes=10), [Hoarder(9) for _ in range(5)]
    with ThreadPoolExecutor(5) as crowd:
        posted = []
        for hoarder in hoarders:  # four times ten bytes may be kept
            posted.append(crowd.submit(limited.post, "/invocations", hoarder))
            if hoarder is not hoarders[-1]:
                assert hoarder.begun.wait(SECONDS)
        assert posted[-1].result(SECONDS).status == 503
        for hoarder in hoarders:
            hoarder.release.set()
    assert [one.result().status for one in posted] == [200, 200, 200, 200, 503]
    assert limited.post("/invocations", b"x" * 10).status == 200  # there is room again


def test_a_much_larger_body_under_way_makes_room_for_a_small_one() -> None:
    limited, hoarders = client(max_body_bytes=100), [Hoarder(size) for size in (98, 99, 98, 98)]
    with ThreadPoolExecutor(4) as crowd:  # of four times a hundred bytes that may be kept
        posted = []
        for size, hoarder in zip((99, 100, 99, 99), hoarders, strict=True):
            headers = (*JPEG, ("content-length", str(size)))
            posted.append(crowd.submit(limited.post, "/invocations", hoarder, headers))
            assert hoarder.begun.wait(SECONDS)
        others = [
            limited.post("/invocations", body).status
            for body in (b"x" * 30, b"x" * 24, (b"x" * 24,), b"x" * 80)  # a quarter of 99 is 24
        ]
        told = posted[1].result(SECONDS)  # who keeps most is told at once, not when its body comes to an end
        assert not any(posted[place].done() for place in (0, 2, 3))
        for hoarder in hoarders:
            hoarder.release.set()
    assert others == [503, 200, 200, 200]
    assert [one.result().status for one in posted] == [200, 503, 200, 200]
    assert "too many bytes" in told.json()["error"]
    assert told.headers["retry-after"] == "1"
    for _ in range(10):  # nothing is counted twice
        assert limited.post("/invocations", b"x" * 100).status == 200


def test_a_body_that_has_made_room_is_not_looked_at_though_its_end_has_come() -> None:
    looked_at: list[bytes] = []

    def look(data: bytes) -> Answer:
        looked_at.append(data)
        return Answer(200, 100, ROWS)

    limited, hoarders = client(look, max_body_bytes=100), [Hoarder(98) for _ in range(3)]

    def overtaken() -> Iterator[bytes]:
        yield b"y" * 100
        assert limited.post("/invocations", b"z" * 20).status == 200
        # and now it ends, before its thread has noticed anything

    with ThreadPoolExecutor(3) as crowd:
        posted = [crowd.submit(limited.post, "/invocations", hoarder) for hoarder in hoarders]
        assert all(hoarder.begun.wait(SECONDS) for hoarder in hoarders)
        told = limited.post("/invocations", overtaken())
        for hoarder in hoarders:
            hoarder.release.set()
    assert (told.status, told.json()) == (503, {"error": "too many bytes are waiting: try again"})
    assert [one.result().status for one in posted] == [200] * 3
    assert sorted(looked_at) == [b"x" * 99] * 3 + [b"z" * 20]
