"""Models that do what no model may: proof that it would be found."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import numpy as np

from detector.answers import Answer


def crash(_data: bytes) -> Answer:
    ctypes.string_at(0)
    raise AssertionError("a null pointer was read")


def hang(_data: bytes) -> Answer:
    time.sleep(3600)
    raise AssertionError("an hour has passed")


def stumble(data: bytes) -> Answer:
    raise KeyError(len(data))


def exaggerate(_data: bytes) -> Answer:
    return Answer(10, 10, np.full((1000, 6), 0.5))


def leave_the_picture(_data: bytes) -> Answer:
    return Answer(10, 10, np.array([[0, 0.5, 0, 0, 1.5, 1]]))


BY_NAME: dict[str, Callable[[bytes], Answer]] = {
    function.__name__: function for function in (crash, hang, stumble, exaggerate, leave_the_picture)
}
