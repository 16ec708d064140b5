"""One client's connection: its requests one after the other, in a thread of its own.

Everything a client may be slow with has an end, or its thread would have none: see the seconds below. (What a body that
is wanted may take, says who wants it.)
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

from detector.messages import Application, Request, Response
from detector.request_parser import End, MalformedError, RequestParser

LOG = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75.0  # longer than a proxy's usual 60: it, not the server, is to close what it may use again
_LAST_SECONDS = 1.0  # for the client to end its side, when the server ends
_PAUSE_SECONDS = 0.25  # after which who waits for a body may look at other things
_PACKET = 1 << 16  # bytes
_NO_REQUEST = Request("", "", {})


class GoneError(Exception):
    """Nobody is there any more who could be answered."""


class Connection:
    """Answers the requests of one client, until either side ends the connection."""

    seconds = 20.0  # for a first request, for one that has begun, for what is thrown away, for taking an answer

    def __init__(self, client: socket.socket, application: Application) -> None:
        self._client = client
        self._application = application
        self._parser = RequestParser()
        self._request = _NO_REQUEST
        self._is_complete = True  # the request has come to its end
        self._is_answered = True
        self._waits_since: float | None = time.monotonic()
        self._is_idle = True
        self._is_stopping = False
        self._lock = threading.Lock()  # of the last two: who is told to stop either ends at once or sees it afterwards

    @property
    def waits_since(self) -> float | None:
        """Return since when (time.monotonic) it waits for its client to send, or to take an answer.

        None: it does not, or has been told to stop.
        """
        return None if self._is_stopping else self._waits_since

    def stop(self) -> None:
        """Take no further request (from another thread): where none is under way, end at once."""
        with self._lock:
            self._is_stopping = True
            if self._is_idle:
                self._shut(socket.SHUT_RD)

    def end(self) -> None:
        """Neither read nor write any more (from another thread)."""
        with self._lock:
            self._is_stopping = True
            self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):  # the client has gone away
            self._client.shutdown(how)

    def serve(self) -> None:
        """Answer until the end."""
        with self._client, contextlib.suppress(GoneError, TimeoutError):
            try:
                self._answer_all()
            except MalformedError as error:
                if not self._is_answered:
                    self._send(Response.refusal(HTTPStatus.BAD_REQUEST, str(error)).encoded(_NO_REQUEST, False))
            self._linger()

    def _answer_all(self) -> None:
        seconds = self.seconds
        while self._begin(seconds):
            response = self._response()
            keep_alive = self._request.keep_alive and not self._is_stopping
            self._send(response.encoded(self._request, keep_alive))
            self._is_answered = True
            if not self._rest() or not keep_alive:
                return
            if not self._is_complete:
                for _ in self._body(self.seconds):  # nobody wants it; a client may look for an answer only behind it
                    continue
            seconds = _KEEP_ALIVE_SECONDS

    def _begin(self, seconds: float) -> bool:
        """Wait for the next request's head; False: there will be none."""
        self._request, self._is_answered = _NO_REQUEST, False
        deadline = time.monotonic() + (self.seconds if self._parser.has_begun else seconds)
        while not self._parser.events:
            has_begun = self._parser.has_begun
            self._receive(deadline)
            if self._parser.has_begun and not has_begun:
                deadline = time.monotonic() + self.seconds
        with self._lock:
            if self._is_stopping:
                return False
            self._is_idle = False
        self._waits_since = None
        event = self._parser.events.popleft()
        if isinstance(event, MalformedError):
            raise event
        assert isinstance(event, Request)  # noqa: S101 - a body's bytes come behind a head
        self._request, self._is_complete = event, False
        return True

    def _rest(self) -> bool:
        """Be idle from now on; False: no further request is taken."""
        with self._lock:
            self._is_idle = True
            return not self._is_stopping

    def _response(self) -> Response:
        try:
            return self._application(self._request, self._wanted_body)
        except (GoneError, MalformedError):
            raise
        except Exception:
            LOG.exception("a request failed")
            return Response.refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed")

    def _wanted_body(self, seconds: float) -> Iterator[bytes]:
        """Yield the request's body (messages.Receive); a client that waits to be told so sends it now."""
        waits = self._request.headers.get("expect", "").lower() == "100-continue" and not self._parser.events
        if waits and self._request.version != "1.0":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._waits_since = time.monotonic()
        yield from self._body(seconds)
        self._waits_since = None

    def _body(self, seconds: float) -> Iterator[bytes]:
        deadline = time.monotonic() + seconds
        while not self._is_complete:
            if not self._parser.events and not self._receive(deadline, _PAUSE_SECONDS):
                yield b""
            while self._parser.events and not self._is_complete:
                event = self._parser.events.popleft()
                if isinstance(event, MalformedError):
                    raise event
                if isinstance(event, bytes):
                    yield event
                self._is_complete = isinstance(event, End)

    def _receive(self, deadline: float, pause: float | None = None) -> bool:
        """Read on; False: nothing has come within a pause. Raise TimeoutError at the deadline, GoneError at the end."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            self._client.settimeout(left if pause is None else min(left, pause))
            data = self._client.recv(_PACKET)
        except TimeoutError:
            if pause is None or left <= pause:
                raise
            return False
        except OSError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        self._parser.feed(data)
        return True

    def _send(self, data: bytes) -> None:
        self._waits_since = time.monotonic()
        try:
            self._client.settimeout(self.seconds)
            self._client.sendall(data)
        except OSError as error:  # or nobody who takes it
            raise GoneError from error

    def _linger(self) -> None:
        """End this side and wait for the other: who still sends would lose the answer if all was closed at once."""
        deadline = time.monotonic() + (self.seconds if self._rest() else _LAST_SECONDS)
        self._shut(socket.SHUT_WR)
        while True:
            self._parser.events.clear()
            self._receive(deadline)
