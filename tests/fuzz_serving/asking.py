"""One request on a connection of its own, as bytes, and what is wrong with the answer."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from dataclasses import dataclass

from detector.connection import Connection
from detector.messages import Application
from fuzz_serving.cases import Case

MAX_SENTENCE = 600


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer's status, content type and body; of one that was not given, 0 and nothing."""

    status: int
    content_type: bytes
    body: bytes


def ask(application: Application, case: Case) -> Answered:
    """Post the case, end this side of the connection and return the first answer."""
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=Connection(theirs, application).serve, daemon=True)
    serving.start()
    with ours:
        with contextlib.suppress(BrokenPipeError):  # the server has answered and reads no more
            for part in case.sent():
                ours.sendall(part)
            ours.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: ours.recv(1 << 16), b""))
    serving.join()
    return _first(answer)


def _first(answers: bytes) -> Answered:
    if not answers:
        return Answered(0, b"", b"")
    head, _, rest = answers.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    return Answered(int(status.split()[1]), headers.get(b"content-type", b""), rest[: int(headers[b"content-length"])])


def problem(case: Case, answered: Answered, topk: int) -> str:
    """Say what is wrong with an answer; nothing: it is as promised."""
    if answered.status not in case.statuses:
        return f"status {answered.status}, not one of {sorted(case.statuses)}: {answered.body[:300]!r}"
    if answered.status == 0:
        return ""
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
