"""Preparations that go wrong in each of the ways that fuzzing is to notice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from typing import Any

import prep.pipeline
from dropspot.errors import InvalidInputError
from prep.folders import Folders


def crash(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_: Any, **__: Any) -> None:
    time.sleep(600)


def stumble(*_: Any, **__: Any) -> None:
    raise KeyError("box")


def grow(*_: Any, **__: Any) -> None:
    bytearray(b"x") * (5 << 28)
    raise InvalidInputError("the data set is large")


def babble(*_: Any, **__: Any) -> None:
    raise InvalidInputError("no " * 10_000)


def forget(folders: Folders, plan: Any, **options: Any) -> None:
    """Prepare, and lose on the way what the quarantine says of `lonely` files."""
    prep.pipeline.prepare(folders, plan, **options)
    path, report = folders.report / "quarantine.jsonl", folders.report / "report.json"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "lonely" not in line), encoding="utf-8")
    document = json.loads(report.read_bytes())
    document["left_out"] = Counter(
        entry["code"]
        for entry in map(json.loads, lines)
        if "lonely" not in entry["file"] and entry.get("left_out", True)
    )
    report.write_text(json.dumps(document), encoding="utf-8")
