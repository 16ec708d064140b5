"""A request and its answer, as those see them who give answers: nothing of sockets, nothing of detection."""

from __future__ import annotations

import email.utils
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head."""

    method: str
    path: str  # percent-decoded, without the query
    headers: Mapping[str, str]  # names in lower case; the lines of one name are one list
    version: str = "1.1"
    keep_alive: bool = True  # the client may send another one on this connection


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whole."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def json(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """Answer with a document that is encoded already."""
        return Response(HTTPStatus.OK, body, {"content-type": JSON} | dict(headers or {}))

    @staticmethod
    def refusal(status: HTTPStatus, sentence: str, **headers: str) -> Response:
        """Answer with one sentence that says what is wrong; to a request that may be repeated, when."""
        retry = {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        return Response(status, json.dumps({"error": sentence}).encode(), {"content-type": JSON} | retry | headers)

    def encoded(self, request: Request, keep_alive: bool) -> bytes:
        """Return the bytes that answer a request; `keep_alive`: another one may follow on its connection."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"date: {_date(int(time.time()))}",
            f"content-length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if not keep_alive:
            lines.append("connection: close")
        elif request.version == "1.0":  # whose clients expect it to be closed
            lines.append("connection: keep-alive")
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        return head if request.method == "HEAD" else head + self.body


@functools.lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return email.utils.formatdate(seconds, usegmt=True)


class RefusedError(Exception):
    """A request that gets an error status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence

    def response(self) -> Response:
        """The answer."""
        return Response.refusal(self.status, self.sentence)


Receive = Callable[[float], Iterator[bytes]]
"""Yields a request's body within so many seconds, or raises TimeoutError; b"" where nothing has come for a moment."""

Application = Callable[[Request, Receive], Response]
"""Gives the answer to a request, in the thread of its connection; what it leaves of the body is thrown away."""
