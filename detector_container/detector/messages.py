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
_STATUS = {status: f"{status.value} {status.phrase}" for status in HTTPStatus}


@dataclass(slots=True)
class Request:
    """A request's head."""

    method: str
    path: str  # percent-decoded, without the query
    headers: Mapping[str, str]  # names in lower case; the lines of one name are one list
    version: str = "1.1"
    keep_alive: bool = True  # the client may send another one on this connection


@dataclass(slots=True)
class Response:
    """An answer, whole."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def json(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """Answer with a document that is encoded already."""
        return Response(HTTPStatus.OK, body, {"content-type": JSON, **(headers or {})})

    @staticmethod
    def refusal(status: HTTPStatus, sentence: str, **headers: str) -> Response:
        """Answer with one sentence that says what is wrong; to a request that may be repeated, when."""
        retry = {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        return Response(status, json.dumps({"error": sentence}).encode(), {"content-type": JSON} | retry | headers)

    def encoded(self, request: Request, keep_alive: bool) -> bytes:
        """Return the bytes that answer a request; `keep_alive`: another one may follow on its connection."""
        head = f"HTTP/1.1 {_STATUS[self.status]}\r\ndate: {_date(int(time.time()))}\r\n"
        head += f"content-length: {len(self.body)}\r\n"
        for name, value in self.headers.items():
            head += f"{name}: {value}\r\n"
        if not keep_alive:
            head += "connection: close\r\n"
        elif request.version == "1.0":  # whose clients expect it to be closed
            head += "connection: keep-alive\r\n"
        encoded = f"{head}\r\n".encode("latin-1")
        return encoded if request.method == "HEAD" else encoded + self.body


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
