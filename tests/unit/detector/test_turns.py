"""Who computes when: a few at once, the others in their order, not too many."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from detector.turns import CrowdedError, Turns

SECONDS = 20.0


class Failing(dict[int, float]):
    """Finds no memory the first time that something is put into it."""

    failed = False

    def __setitem__(self, key: int, value: float) -> None:
        if not self.failed:
            self.failed = True
            raise MemoryError
        super().__setitem__(key, value)


class Order:
    """Threads that come one after the other while all turns are taken, and write down when they are in."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.seen: list[str] = []

    def come(self, name: str) -> threading.Thread:
        thread = threading.Thread(target=self._take_turn, args=(name,))
        before = len(self.turns._waiting)
        thread.start()
        deadline = time.monotonic() + SECONDS
        while len(self.turns._waiting) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        return thread

    def _take_turn(self, name: str) -> None:
        try:
            with self.turns:
                self.seen.append(name)
        except MemoryError:
            self.seen.append(f"{name}: no memory")


def test_who_waits_longest_is_next() -> None:
    order = Order(turns := Turns(1, 9))
    with turns:
        threads = [order.come(name) for name in "abcdef"]
    for thread in threads:
        thread.join(SECONDS)
    assert order.seen == list("abcdef")


def test_too_many_are_turned_away_and_leave_no_trace() -> None:
    order = Order(turns := Turns(1, 2))
    with turns:
        thread = order.come("a")
        assert turns.are_crowded
        for _ in range(5):
            with pytest.raises(CrowdedError), turns:
                pass
    thread.join(SECONDS)
    assert not turns.are_crowded
    assert turns.longest() < 0.01
    with turns:
        assert turns.longest() > 0


def test_who_fails_at_its_turn_passes_it_on() -> None:
    order = Order(turns := Turns(1, 9))
    with turns:
        threads = [order.come(name) for name in "ab"]
        turns._since = Failing(turns._since)
    for thread in threads:
        thread.join(SECONDS)
    assert order.seen == ["a: no memory", "b"]
    assert not turns._since


def test_never_more_at_once_and_nobody_is_left_whatever_fails() -> None:
    turns, inside, most = Turns(3, 100), set[int](), [0]

    def take(number: int) -> None:
        with turns:
            inside.add(number)
            most[0] = max(most[0], len(inside))
            time.sleep(random.Random(number).random() / 2000)
            inside.discard(number)
            if number % 3 == 0:
                raise ValueError

    with ThreadPoolExecutor(20) as crowd:
        done = [crowd.submit(take, number) for number in range(600)]
    assert sum(isinstance(one.exception(), ValueError) for one in done) == 200
    assert most[0] == 3
    assert (turns._taken, len(turns._waiting), turns._since) == (0, 0, {})
