"""Detectors that do what must not happen: proof that it would be found."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any


def crash(_payload: bytes) -> Any:
    ctypes.string_at(0)
    raise AssertionError("a null pointer was read")


def hang(_payload: bytes) -> Any:
    time.sleep(3600)
    raise AssertionError("an hour has passed")


def dawdle(_payload: bytes) -> Any:
    began = time.process_time()
    while time.process_time() - began < 5.1:
        pass
    return [[0.0, 0.9, 0.1, 0.1, 0.5, 0.5]]


def stumble(payload: bytes) -> Any:
    raise KeyError(len(payload))


def grow(_payload: bytes) -> Any:
    bytearray(b"x") * (5 << 27)
    return [[0.0, 0.9, 0.1, 0.1, 0.5, 0.5]]


def overlook(_payload: bytes) -> Any:
    return []


BY_NAME: dict[str, Callable[[bytes], Any]] = {
    function.__name__: function for function in (crash, hang, dawdle, stumble, grow, overlook)
}
