"""One request to an ASGI application, without a client between, and what is wrong with the answer."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fuzz_serving.cases import Case

App = Callable[..., Awaitable[None]]
MAX_SENTENCE = 600


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer's status, content type and body."""

    status: int
    content_type: bytes
    body: bytes


async def ask(app: App, case: Case) -> Answered:
    """Post the case; what the application raises goes through."""
    to_come = [
        {"type": "http.request", "body": chunk, "more_body": number < len(case.chunks) - 1}
        for number, chunk in enumerate(case.chunks)
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return to_come.pop(0) if to_come else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "root_path": "",
        "query_string": b"",
        "headers": list(case.headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive, send)
    start, *bodies = sent
    return Answered(
        start["status"], dict(start["headers"]).get(b"content-type", b""), b"".join(part["body"] for part in bodies)
    )


def problem(case: Case, answered: Answered, topk: int) -> str:
    """Say what is wrong with an answer; nothing: it is as promised."""
    if answered.status not in case.statuses:
        return f"status {answered.status}, not one of {sorted(case.statuses)}: {answered.body[:300]!r}"
    if answered.content_type != b"application/json":
        return f"content type {answered.content_type!r}"
    told = json.loads(answered.body, parse_constant=_refuse)
    if answered.status != 200:
        sentence = told["error"]
        sentence.encode()
        fit = list(told) == ["error"] and sentence.isprintable() and 0 < len(sentence) <= MAX_SENTENCE
        return "" if fit and " 0x" not in sentence else f"this is no sentence for a caller: {sentence!r}"
    if "annotations" in told:
        return "" if all(type(box["left"]) is int for box in told["annotations"]) else f"no pixels: {told}"
    rows = told["prediction"]
    if len(rows) > topk:
        return f"{len(rows)} rows"
    sound = all(
        len(row) == 6 and all(map(math.isfinite, row)) and 0 <= min(row[1:]) <= max(row[1:]) <= 1 for row in rows
    )
    return "" if sound else f"odd rows: {rows}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
